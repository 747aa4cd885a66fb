/*
 * refit -- a letter on its way out is fitted to its road: other addresses in its fields (smtp_generic_maps), what
 * smtp_header_checks and their kin say, and no bytes above 127 for hosts that do not know 8BITMIME
 *
 * From:     role/verifier, where letters are parsed
 * To:       role/sender-refit.c, which sends the letter with these edits
 *
 * refit_tell()   the addresses in the fields, each once.
 * refit_make()   the edits that do what is asked; CANNOT: the letter cannot be made 7-bit; LATER when a table cannot tell; ASKS
 *     when tables that are elsewhere are to be asked first.
 *     Where a check and a rewriting change the same field the check has it.
 * refit_signed() whether the letter has a signature over its content (rfc6376, rfc8617), which does not hold for what is made of it.
 */
#ifndef ROLE_REFIT_H
#define ROLE_REFIT_H

#include "message/edits.h"
#include "policy/checks.h"
#include "role/wire.h"

uint32_t refit_tell(struct bytes content, struct arena *, const struct bytes **address);
enum refit_answer refit_make(const struct word_refit *, struct bytes content, const struct checks_settings *, const struct checks_needs *,
                             struct arena *, struct edits *);
bool refit_signed(struct bytes content);

#endif
