# SPDX-License-Identifier: ISC
"""Every example of the catalogue's sections on settings, tables, local users and logins has a dialogue that is named after it.

The list is catalogue/README: `| R146 | words | dialogue dialogue ... |`."""

import os
import re

SECTIONS = {"K": range(146, 178), "M": range(195, 216), "N": range(216, 229), "P": range(247, 269)}


def missing(here):
    """What is wrong with the list, in sentences."""
    wrong, rows = [], {}
    with open(os.path.join(here, "catalogue/README"), encoding="utf-8") as f:
        for number, names in re.findall(r"^\| R(\d+) \|.*\| ([^|]+) \|$", f.read(), re.M):
            rows[int(number)] = names.split()
    for section, numbers in SECTIONS.items():
        for n in numbers:
            if not rows.get(n):
                wrong.append("catalogue/README: R%d of section 1.%s has no dialogue" % (n, section))
    for n, names in rows.items():
        for name in names:
            if not os.path.isfile(os.path.join(here, name)):
                wrong.append("catalogue/README: R%d: there is no %s" % (n, name))
            elif str(n) not in re.findall(r"r(\d+)-", os.path.basename(name)):
                wrong.append("catalogue/README: R%d: %s is not named after it" % (n, name))
    listed = {name for names in rows.values() for name in names}
    for name in sorted(os.listdir(os.path.join(here, "catalogue"))):
        if name != "README" and "catalogue/" + name not in listed:
            wrong.append("catalogue/README: %s is not in it" % name)
    return wrong
