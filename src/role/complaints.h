/*
 * complaints -- what was found wrong with a file that settings name, told in the log
 *
 * From:     whoever opens such a file: postmaster, clerk, policy, proxymap
 * Touches:  the log
 *
 * complaints_warn() each of these lines is a warning of its own.
 */
#ifndef ROLE_COMPLAINTS_H
#define ROLE_COMPLAINTS_H

#include "base/bytes.h"

void complaints_warn(struct bytes lines);

#endif
