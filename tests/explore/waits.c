/* SPDX-License-Identifier: MIT */
#include "explore.h"
const struct explore_scenario explore_waits[] = { { NULL, NULL, 0, false } };
