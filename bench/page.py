# SPDX-License-Identifier: MIT
"""The page."""


def page(found, about, failures):
    return "\n".join(about + failures)
