/* SPDX-License-Identifier: MIT */

/* test_version.c - the library and its headers are of one version */

#include "test.h"

Test(version, is_that_of_the_headers)
{
	cr_assert_str_eq(co_version(), CO_VERSION);
}

Test(version, is_made_of_three_numbers)
{
	char numbers[40];

	snprintf(numbers, sizeof numbers, "%d.%d.%d", CO_VERSION_MAJOR,
			CO_VERSION_MINOR, CO_VERSION_PATCH);
	cr_assert_str_eq(CO_VERSION, numbers);
}
