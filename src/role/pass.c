#include "role/pass.h"
#include "base/buffer.h"
#include "base/pack.h"
#include "base/random.h"
#include "sasl/mac.h"
#include <string.h>

enum { NONCE = 16, MAC = 32, SWEEP_FROM = 1024 };

static void
sign(const char key[static PASS_KEY], struct bytes text, char out[static MAC])
{
	unsigned char made[MAC_MOST];

	(void)mac_make("SHA256", (struct bytes){ key, PASS_KEY }, text, made);
	memcpy(out, made, MAC);
}

/* What is signed: until and nonce as they stand in the pass, and whom it is for. */
static void
sign_pass(const char key[static PASS_KEY], struct bytes head, uint64_t account, const char *user,
          char out[static MAC])
{
	struct buffer text = { 0 };

	buffer_add(&text, head);
	pack_u64(&text, account);
	pack_string(&text, user);
	sign(key, buffer_bytes(&text), out);
	buffer_free(&text);
}

void
pass_key(const char master[static PASS_KEY], uint32_t keeper, char key[static PASS_KEY])
{
	struct buffer text = { 0 };

	buffer_add(&text, BYTES("keeper"));
	pack_u32(&text, keeper);
	sign(master, buffer_bytes(&text), key);
	buffer_free(&text);
}

void
pass_write(const char key[static PASS_KEY], uint64_t account, const char *user, int64_t until_ms,
           char out[static PASS_SIZE])
{
	memcpy(out, &until_ms, sizeof until_ms);
	random_fill(out + sizeof until_ms, NONCE);
	sign_pass(key, (struct bytes){ out, sizeof until_ms + NONCE }, account, user,
	          out + sizeof until_ms + NONCE);
}

/* Those that are too old to be good are not kept. */
static void
sweep(struct map *seen, int64_t now_ms)
{
	struct map_place p = { 0 };

	while (map_next(seen, &p))
		if ((intptr_t)p.value < now_ms)
			(void)map_drop(seen, p.key);
}

bool
pass_is_good(const char key[static PASS_KEY], struct bytes pass, uint64_t account, const char *user,
             int64_t now_ms, struct map *seen)
{
	struct bytes head = bytes_cut(pass, 0, PASS_SIZE - MAC), nonce;
	int64_t      until_ms;
	char         made[MAC];

	if (pass.len != PASS_SIZE)
		return false;
	memcpy(&until_ms, pass.at, sizeof until_ms);
	nonce = bytes_cut(head, sizeof until_ms, NONCE);
	sign_pass(key, head, account, user, made);
	if (!bytes_equal_secret((struct bytes){ made, MAC }, bytes_cut(pass, head.len, MAC)) ||
	    until_ms < now_ms || map_get(seen, nonce) != NULL)
		return false;
	if (map_count(seen) >= SWEEP_FROM && (map_count(seen) & (SWEEP_FROM - 1)) == 0)
		sweep(seen, now_ms);
	(void)map_put(seen, nonce, (void *)(intptr_t)until_ms);
	return true;
}
