#include "unit.h"

#include "directory/srs.h"

/* All that is expected here was made and opened by Mail::SRS 0.31 (Debian's libmail-srs-perl). */

enum { DAY = 86400 };
static const int64_t now = (int64_t)20779 * DAY + 4711; /* JL: day 299 of 1024 */

static const char *const both[] = { "sesame", "older" }, *const swapped[] = { "older", "sesame" };

static struct srs_settings
settings(const char *const *secret, size_t secrets)
{
	return (struct srs_settings){ .domain = "fwd.example.net", .secrets = { secret, secrets },
		.age_ms = (int64_t)21 * DAY * 1000, .hash_length = 4 };
}

static void
test_make(void **state)
{
	static const struct { const char *why, *sender, *wanted; } rows[] = {
		{ "plain", "eva@example.org", "SRS0=vbmu=JL=example.org=eva@fwd.example.net" },
		{ "the hash is of small letters, the rest stays", "Eva.Long@Example.ORG", "SRS0=xE2D=JL=Example.ORG=Eva.Long@fwd.example.net" },
		{ "a local part with =", "a=b=c@example.com", "SRS0=cIRN=JL=example.com=a=b=c@fwd.example.net" },
		{ "forwarded before", "SRS0=HHHH=TT=orig.example=x@first.example", "SRS1=CH8N=first.example==HHHH=TT=orig.example=x@fwd.example.net" },
		{ "with another separator", "SRS0+HHHH=TT=orig.example=x@first.example", "SRS1=n+jJ=first.example=+HHHH=TT=orig.example=x@fwd.example.net" },
		{ "forwarded twice: to the first it goes back", "SRS1=AAAA=zero.example==HHHH=TT=orig.example=x@second.example",
		  "SRS1=ECXT=zero.example==HHHH=TT=orig.example=x@fwd.example.net" },
		{ "nobody", "", NULL },
		{ "no domain", "eva", NULL },
		{ "a quoted local part would have to be quoted anew", "\"e va\"@example.org", NULL },
	};
	struct arena *a = arena_open(NULL);
	struct srs_settings set = settings(both, 2);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes out;
		bool made = srs_make(&set, bytes_of(rows[i].sender), now, a, &out);

		HOLDS(rows[i].why, made == (rows[i].wanted != NULL));
		if (made)
			SAME(rows[i].why, out, bytes_of(rows[i].wanted));
	}
	arena_close(&a);
}

static void
test_open(void **state)
{
	static const struct { const char *why, *address; enum srs_outcome wanted; const char *is; } rows[] = {
		{ "ours", "SRS0=vbmu=JL=example.org=eva@fwd.example.net", SRS_OPENED, "eva@example.org" },
		{ "of the secret before", "SRS0=t4cR=JL=example.org=eva@fwd.example.net", SRS_OPENED, "eva@example.org" },
		{ "a host on the way made it small", "srs0=vbmu=jl=example.org=eva@FWD.example.net", SRS_OPENED, "eva@example.org" },
		{ "another separator", "SRS0-vbmu=JL=example.org=eva@fwd.example.net", SRS_OPENED, "eva@example.org" },
		{ "a longer hash of ours", "SRS0=vbmuHWel=JL=example.org=eva@fwd.example.net", SRS_OPENED, "eva@example.org" },
		{ "the first of two", "SRS1=CH8N=first.example==HHHH=TT=orig.example=x@fwd.example.net", SRS_OPENED, "SRS0=HHHH=TT=orig.example=x@first.example" },
		{ "with its own separator", "SRS1=n+jJ=first.example=+HHHH=TT=orig.example=x@fwd.example.net", SRS_OPENED, "SRS0+HHHH=TT=orig.example=x@first.example" },
		{ "forged", "SRS0=vbmv=JL=example.org=eva@fwd.example.net", SRS_FORGED, "" },
		{ "somebody else in it", "SRS0=vbmu=JL=example.org=eve@fwd.example.net", SRS_FORGED, "" },
		{ "another day in it", "SRS0=vbmu=JM=example.org=eva@fwd.example.net", SRS_FORGED, "" },
		{ "a hash too short", "SRS0=vbm=JL=example.org=eva@fwd.example.net", SRS_FORGED, "" },
		{ "no hash", "SRS0==JL=example.org=eva@fwd.example.net", SRS_FORGED, "" },
		{ "SRS1 forged", "SRS1=CH8M=first.example==HHHH=TT=orig.example=x@fwd.example.net", SRS_FORGED, "" },
		{ "35 days ago", "SRS0=kk3a=II=example.org=eva@fwd.example.net", SRS_EXPIRED, "" },
		{ "another domain's", "SRS0=vbmu=JL=example.org=eva@example.net", SRS_NOT, "" },
		{ "no tag", "eva@fwd.example.net", SRS_NOT, "" },
		{ "nothing behind the tag", "SRS0=@fwd.example.net", SRS_NOT, "" },
		{ "too few words", "SRS0=vbmu=JL=example.org@fwd.example.net", SRS_NOT, "" },
		{ "no rest", "SRS1=CH8N=first.example=@fwd.example.net", SRS_NOT, "" },
	};
	struct arena *a = arena_open(NULL);
	struct srs_settings set = settings(both, 2);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes out = BYTES("");

		HOLDS(rows[i].why, srs_open(&set, bytes_of(rows[i].address), now, a, &out) == rows[i].wanted);
		SAME(rows[i].why, out, bytes_of(rows[i].is));
	}
	arena_close(&a);
}

/* A secret follows another; days run round after 1024. */
static void
test_time_and_secrets(void **state)
{
	struct arena *a = arena_open(NULL);
	struct srs_settings set = settings(both, 1), next = settings(swapped, 1), long_ago = settings(swapped, 2);
	struct bytes made, out;

	(void)state;
	HOLDS("made", srs_make(&set, BYTES("eva@example.org"), now, a, &made));
	HOLDS("the secret is gone", srs_open(&next, made, now, a, &out) == SRS_FORGED);
	HOLDS("it is the second one", srs_open(&long_ago, made, now, a, &out) == SRS_OPENED);
	HOLDS("21 days", srs_open(&set, made, now + 21 * DAY, a, &out) == SRS_OPENED);
	HOLDS("22 days", srs_open(&set, made, now + 22 * DAY, a, &out) == SRS_EXPIRED);
	HOLDS("tomorrow's", srs_open(&set, made, now - DAY, a, &out) == SRS_EXPIRED);
	HOLDS("1023 to 0", srs_make(&set, BYTES("eva@example.org"), (int64_t)20 * 1024 * DAY - 1, a, &made) &&
	      srs_open(&set, made, (int64_t)20 * 1024 * DAY + DAY, a, &out) == SRS_OPENED);
	HOLDS("what only looks like one is an address as any", srs_make(&set, BYTES("SRS1=AAAA=zero.exampleHHHH=TT=x@second.example"), now, a, &made) &&
	      srs_open(&set, made, now, a, &out) == SRS_OPENED);
	SAME("and comes back to it", out, BYTES("SRS1=AAAA=zero.exampleHHHH=TT=x@second.example"));
	set.domain = "";
	HOLDS("without a domain nothing is", !srs_make(&set, BYTES("eva@example.org"), now, a, &made));
	arena_close(&a);
}

UNIT(test_make, test_open, test_time_and_secrets)
