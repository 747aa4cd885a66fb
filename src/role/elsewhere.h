/*
 * elsewhere -- settings of Postfix that are none here
 *
 * From:     role/settings, for the check of main.cf
 *
 * A main.cf that was Postfix's is taken as it is: what has no meaning here is warned of,
 * and the warning says what there is instead, or that there is nothing yet.
 */
#ifndef ROLE_ELSEWHERE_H
#define ROLE_ELSEWHERE_H

#include "base/setting.h"

extern const struct setting_elsewhere elsewhere_names[];
extern const size_t                   elsewhere_count;

#endif
