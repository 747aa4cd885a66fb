/*
 * signer -- alone has the private keys; gives signatures, shows a key to nobody
 *
 * A front that was captured can still ask for signatures, as it could use its own
 * sessions; the rate bounds what it can gather.  What senders show to hosts that ask has keys of its own.
 */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/tls.h"
#include "role/house.h"

/* More than a front can shake hands in a second, with the dearest of keys. */
enum { MOST_PER_SECOND = 5000, FRONTS_MOST = 64, KEPT = 8 };

struct rate {
	int64_t  since_ms;
	uint32_t count;
};
/* A sender signs as a client, a front as a server: neither can have the other's name by asking. */
enum { OF_FRONTS, OF_SENDERS, SETS };
static const char *const key_names[SETS] = { "key/", "client-key/" };
struct signer {
	/* The newest first: a certificate is shown until its successor works. */
	struct tls_keys *keys[SETS][KEPT];
	struct rate      rate[ROLES][FRONTS_MOST];
	uint64_t         given, refused;
};

/* The keys of one file; what cannot be used is said in the log. */
static bool
key_read(struct house *h, const char *name, struct tls_keys *keys)
{
	struct buffer pem = { 0 }, errors = { 0 };
	int           why = house_resource_read(h, name, &pem);
	bool          good = why == 0 && tls_keys_add(keys, buffer_bytes(&pem), &errors);

	if (!good)
		fault("private key %s: %.*s%s", strchr(name, '/') + 1,
		      errors.len > 0 ? (int)errors.len - 1 : 0, errors.len > 0 ? errors.at : "",
		      why != 0 ? strerror(why) : "");
	if (pem.len > 0)
		explicit_bzero(pem.at, pem.len);
	buffer_free(&pem);
	buffer_free(&errors);
	return good;
}

static struct tls_keys *
keys_read(struct house *h, const char *prefix)
{
	struct tls_keys *keys = tls_keys_open();
	const char      *name;
	size_t           place = 0;
	int              fd;

	while (house_resource_next(h, prefix, &place, &name, &fd))
		if (fd >= 0)
			(void)key_read(h, name, keys);
	return keys;
}

static bool
signer_start(struct house *h)
{
	struct signer *s = memory_take(sizeof *s);

	h->mine = s;
	for (int i = 0; i < SETS; i++)
		s->keys[i][0] = keys_read(h, key_names[i]);
	return true;
}

static void
keys_renew(struct house *h, const char *prefix, struct tls_keys *kept[static KEPT])
{
	struct tls_keys *keys = keys_read(h, prefix);

	if (tls_keys_hold(kept[0], keys)) {
		tls_keys_close(&keys);
		return;
	}
	tls_keys_close(&kept[KEPT - 1]);
	memmove(kept + 1, kept, (KEPT - 1) * sizeof(struct tls_keys *));
	kept[0] = keys;
}

/* New keys are in force before the fronts show their certificates: the postmaster sees to that.  Those from
   before stay, for a file may be broken now, or a certificate not yet there. */
static void
signer_reload(struct house *h)
{
	struct signer *s = h->mine;

	for (int i = 0; i < SETS; i++)
		keys_renew(h, key_names[i], s->keys[i]);
}

static bool
within_rate(struct house *h, struct rate *r)
{
	int64_t now = loop_now_ms(h->loop);

	if (now - r->since_ms >= 1000)
		*r = (struct rate){ now, 0 };
	return ++r->count <= MOST_PER_SECOND;
}

static bool
sign(struct tls_keys *const keys[static KEPT], const struct word_sign *w, struct buffer *out)
{
	enum tls_sign_kind kind = (enum tls_sign_kind)w->kind;

	for (int i = 0; i < KEPT && keys[i] != NULL; i++)
		if (tls_keys_sign(keys[i], w->key_id, kind, w->padding, w->input, out))
			return true;
	return false;
}

static bool
signer_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
            struct bytes body, int fd)
{
	struct signer     *s = h->mine;
	struct arena      *scratch = arena_open(NULL);
	struct buffer      signature = { 0 };
	struct word_sign   ask;
	struct word_signed answer = { .ok = false };
	struct link       *l = house_link(h, from, index);
	bool good = word == WORD_SIGN && fd < 0 && word_unpack_sign(body, scratch, &ask);

	if (fd >= 0)
		(void)close(fd);
	if (good && within_rate(h, &s->rate[from][index % FRONTS_MOST]))
		answer.ok =
			sign(s->keys[from == SENDER ? OF_SENDERS : OF_FRONTS], &ask, &signature);
	if (good) {
		*(answer.ok ? &s->given : &s->refused) += 1;
		answer.signature = buffer_bytes(&signature);
		word_pack_signed(link_begin(l, WORD_SIGNED, ticket), &answer);
		link_end(l);
		link_flush(l); /* the other side waits */
	}
	buffer_free(&signature);
	arena_close(&scratch);
	return good;
}

static void
signer_stop(struct house *h)
{
	struct signer *s = h->mine;

	for (int i = 0; i < SETS * KEPT; i++)
		tls_keys_close(&s->keys[i / KEPT][i % KEPT]);
	house_leave(h);
}

static void
signer_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct signer *s = h->mine;

	*connections = 0;
	buffer_printf(text, "signatures=%" PRIu64 " refused=%" PRIu64, s->given, s->refused);
}

const struct role_card signer_card = {
	.name = "signer",
	.start = signer_start,
	.hear = signer_hear,
	.reload = signer_reload,
	.stop = signer_stop,
	.status = signer_status,
};
