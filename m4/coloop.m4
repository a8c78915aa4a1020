dnl SPDX-License-Identifier: MIT

dnl CO_CC_FLAGS(VARIABLE, FLAG...): append to VARIABLE each flag, separated by
dnl blanks, that the compiler takes without a word.
AC_DEFUN([CO_CC_FLAGS], [m4_map_args_w([$2],
  [_CO_FLAG([$1], ], [, [CFLAGS], [AC_COMPILE_IFELSE])])
AC_SUBST([$1])])

dnl CO_LD_FLAGS(VARIABLE, FLAG...): the same for the linker.
AC_DEFUN([CO_LD_FLAGS], [m4_map_args_w([$2],
  [_CO_FLAG([$1], ], [, [LDFLAGS], [AC_LINK_IFELSE])])
AC_SUBST([$1])])

dnl Compilers pass over an unknown -Wno-x in silence, so -Wx is asked instead.
AC_DEFUN([_CO_FLAG], [
AS_VAR_PUSHDEF([co_var], [co_cv_flag_$2])
AC_CACHE_CHECK([whether $CC takes $2], [co_var],
  [co_save=$$3
  $3="$co_save -Werror m4_bpatsubst([$2], [^-Wno-], [-W])"
  $4([AC_LANG_PROGRAM([[]], [[]])], [AS_VAR_SET([co_var], [yes])],
    [AS_VAR_SET([co_var], [no])])
  $3=$co_save])
AS_VAR_IF([co_var], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([co_var])])

dnl CO_IF(TEST, THEN, [ELSE]): compile a program whose preprocessor sees TEST.
AC_DEFUN([CO_IF], [AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#if !($1)
#error no
#endif
int some_symbol;
]])], [$2], [$3])])

dnl CO_VERSION_SCRIPT: the automake conditional HAVE_VERSION_SCRIPT.
AC_DEFUN([CO_VERSION_SCRIPT], [
AC_CACHE_CHECK([whether the linker takes a version script],
  [co_cv_version_script],
  [co_save=$LDFLAGS
  LDFLAGS="$co_save -shared -fPIC -Wl,--version-script=conftest.map"
  echo 'CONFTEST { global: exported; local: *; };' >conftest.map
  AC_LINK_IFELSE(
    [AC_LANG_SOURCE([[int exported(void); int exported(void) { return 0; }]])],
    [co_cv_version_script=yes], [co_cv_version_script=no])
  rm -f conftest.map
  LDFLAGS=$co_save])
AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test "$co_cv_version_script" = yes])])
