/*
 * pass -- the clerk's word to a keeper: whoever shows this may open that account, once, and soon
 *
 * From:     role/clerk (writes them), role/keeper (looks at them), role/child (deals out the keys)
 * Touches:  its arguments alone
 *
 * A login carries a session from its client to a keeper, but it reads what strangers say, and whoever
 * takes it over speaks with its mouth.  So the keeper does not believe it who has logged in: with AUTH_OK the clerk
 * gives a pass for account and name, and SESSION shows it.  The key is the keeper's own, made of one that the clerk alone
 * has; no login ever sees either.
 *
 * pass_key()     the key of that keeper.
 * pass_write()   a pass that is good until then, by the patient clock.
 * pass_is_good() whether the pass is of this key, for this account and name, not too old, and not in `seen`; it is then.
 *                `seen` is a map of the keeper's; it holds no more than what was shown in PASS_MS.
 */
#ifndef ROLE_PASS_H
#define ROLE_PASS_H

#include "base/bytes.h"
#include "base/map.h"

enum { PASS_KEY = 32, PASS_SIZE = 8 + 16 + 32, PASS_MS = 10 * 60 * 1000 };

void pass_key(const char master[static PASS_KEY], uint32_t keeper, char key[static PASS_KEY]);
void pass_write(const char key[static PASS_KEY], uint64_t account, const char *user, int64_t until_ms, char out[static PASS_SIZE]);
bool pass_is_good(const char key[static PASS_KEY], struct bytes pass, uint64_t account, const char *user, int64_t now_ms, struct map *seen);

#endif
