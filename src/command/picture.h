/*
 * picture -- a text as a QR code that a phone can read off a terminal
 *
 * picture_print()  prints it in half blocks, two rows of modules a line, dark on light whatever the
 *                  terminal's colours.  False: this build has no library for it, or the text is too long.
 */
#ifndef COMMAND_PICTURE_H
#define COMMAND_PICTURE_H

#include "base/bytes.h"
#include <stdio.h>

bool picture_print(FILE *, const char *text);

#endif
