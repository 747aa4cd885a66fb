/*
 * letter-lines -- a letter as the questions that header_checks and body_checks ask
 *
 * From:     postmap -h, -b, -m
 *
 * letter_lines() calls `each` with every field of the header (folded as it stands) and every line of the body
 * that is wanted, in the order of the letter, until it says false; whether it never did.  With LETTER_PARTS the headers of
 * parts are headers and no lines of the body.
 */
#ifndef COMMAND_LETTER_LINES_H
#define COMMAND_LETTER_LINES_H

#include "base/arena.h"

enum { LETTER_HEADERS = 1, LETTER_BODY = 2, LETTER_PARTS = 4 };
typedef bool letter_line(void *ctx, struct bytes line);
bool letter_lines(struct bytes content, unsigned which, letter_line *, void *ctx);

#endif
