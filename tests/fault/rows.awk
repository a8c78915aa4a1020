# SPDX-License-Identifier: MIT
#
# rows.awk - the rows of calls.inc or told.inc, a line for each: the name of the
# macro and its arguments, separated by tabs; strings without their quotes

function finish_argument()
{
	gsub(/^[ \t\n]+|[ \t\n]+$/, "", argument)
	row = row "\t" argument
	argument = ""
}

# Within a comment or a string nothing has a meaning but its end.
function take(c, next_c)
{
	if (in_comment) {
		if (last == "*" && c == "/")
			in_comment = 0
	} else if (in_string) {
		if (c == "\"")
			in_string = 0
		else
			argument = argument c
	} else if (c == "/" && next_c == "*") {
		in_comment = 1
	} else if (c == "\"") {
		in_string = 1
	} else if (c == "(" && depth++ == 0) {
		row = argument
		gsub(/[ \t\n]/, "", row)
		argument = ""
	} else if (c == ")" && --depth == 0) {
		finish_argument()
		print row
	} else if (c == "," && depth == 1) {
		finish_argument()
	} else {
		argument = argument c
	}
	last = c
}

!in_comment && /^#/ { next }

{
	line = $0 "\n"
	for (i = 1; i <= length(line); i++)
		take(substr(line, i, 1), substr(line, i + 1, 1))
}
