/* SPDX-License-Identifier: MIT */
#include "explore.h"
const struct explore_scenario explore_channels[] = { { NULL, NULL, 0, false } };
