# SPDX-License-Identifier: MIT
#
# renamed.awk - what the library calls and how it is called in its copy, for
# objcopy; from what rows.awk and nm say, in this order
#
# Where a type has 64 bits or fewer, the C library has further names for some
# calls: __NAME64, __NAME_time64 and so on.  __NAME_chk has another parameter.

BEGIN { FS = "\t" }

$1 == "CALL" { known[$3] = 1 }

$1 == "COUNTED" {
	for (i = 3; i <= NF; i++)
		known[$i] = 1
}

/^ +U / {
	symbol = name = substr($0, index($0, "U ") + 2)
	checked = ""
	if (!(name in known)) {
		sub(/^__/, "", name)
		if (sub(/_chk$/, "", name))
			checked = "_chk"
		sub(/_time64$/, "", name)
		sub(/64$/, "", name)
	}
	if (name in known)
		print symbol, "fault_" name checked
}
