#include "directory/srs.h"

#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "sasl/mac.h"

enum {
	DAY_S = 86400,
	DAYS = 1024, /* two digits of base 32             */
	TAG = 4,     /* "SRS0"                            */
	LOCAL_MOST = 255,
	PATH_MOST = 512,
	HASH_LEAST = 4
};

#define AT(f) offsetof(struct srs_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "srs_domain", SETTING_WORD, AT(domain), "", "The domain, whose mail comes to us, in which senders of forwarded mail get a name of ours (SRS), so that hosts that look at SPF take it; empty: forwarded mail keeps its sender.", .since = "0.3" },
	{ "srs_secrets", SETTING_MATCHES, AT(secrets), "", "Secrets, or a /file with one in each line, that prove that such a name is ours: the first makes new ones, each opens; empty: one of our own, made when it is first needed.", .since = "0.3" },
	{ "srs_exclude_domains", SETTING_MATCHES, AT(exclude), "", "Domains whose senders keep their name when their mail is forwarded.", .since = "0.3" },
	{ "srs_own_senders", SETTING_BOOL, AT(own), "no", "Whether senders of our own domains get such a name too.", .since = "0.3" },
	{ "srs_max_age", SETTING_TIME, AT(age_ms), "21d", "How long mail may come back to such a name.", NULL, (int64_t)DAY_S * 1000, (int64_t)DAY_S * 1000 * 1000, "0.3" },
	{ "srs_hash_length", SETTING_NUMBER, AT(hash_length), "4", "How many characters of the hash such a name has, and at least must have.", NULL, HASH_LEAST, 20, "0.3" },
	{ "srs_separator", SETTING_CHOICE, AT(separator), "=", "The character behind SRS0 and SRS1.", "=,+,-", 0, 0, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table srs_setting_table = { "Forwarded mail", rows, COUNT(rows) };

static const char separators[] = "=+-";
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool
is_separator(char c)
{
	return c != '\0' && strchr(separators, c) != NULL;
}

/* "SRS0" or "SRS1" and a separator. */
static bool
is_tagged(struct bytes local, char number)
{
	return local.len > TAG && bytes_starts_nocase(local, BYTES("SRS")) &&
	       local.at[TAG - 1] == number && is_separator(local.at[TAG]);
}

static bool
split_address(struct bytes address, struct bytes *local, struct bytes *domain)
{
	ptrdiff_t at = bytes_find_last(address, '@');

	if (at <= 0 || (size_t)at + 1 == address.len)
		return false;
	*local = bytes_cut(address, 0, (size_t)at);
	*domain = bytes_cut(address, (size_t)at + 1, SIZE_MAX);
	return true;
}

bool
srs_is(struct bytes address)
{
	return is_tagged(address, '0') || is_tagged(address, '1');
}

/* The hash over some words put together, in small letters. */
static struct bytes
hash_of_words(struct arena *a, const char *secret, const struct bytes *word, size_t words)
{
	struct buffer b = { 0 }, text = { 0 };
	unsigned char mac[MAC_MOST];
	size_t        n;
	struct bytes  out;

	for (size_t i = 0; i < words; i++)
		buffer_add(&b, arena_lower(a, word[i]));
	n = mac_make("SHA-1", bytes_of(secret), buffer_bytes(&b), mac);
	base64_encode(&text, (struct bytes){ (const char *)mac, n });
	out = arena_keep(a, buffer_bytes(&text));
	buffer_free(&b);
	buffer_free(&text);
	return out;
}

/* At least so many characters of it, and those that are there. */
static bool
hash_is_good(const struct srs_settings *set, struct arena *a, struct bytes hash,
             const struct bytes *word, size_t words)
{
	bool good = false;

	if (hash.len < (size_t)set->hash_length)
		return false;
	for (size_t i = 0; i < set->secrets.count; i++) {
		struct bytes ours = hash_of_words(a, set->secrets.item[i], word, words);

		if (hash.len < ours.len &&
		    bytes_equal_secret(arena_lower(a, bytes_cut(ours, 0, hash.len)),
		                       arena_lower(a, hash)))
			good = true;
	}
	return good;
}

static bool
fits(struct bytes local, const char *domain)
{
	return local.len <= LOCAL_MOST && local.len + 1 + strlen(domain) <= PATH_MOST;
}

/* SRS1=HASH=first=REST, rest with the separator it has in front */
static struct bytes
make_again(const struct srs_settings *set, struct arena *a, struct bytes first, struct bytes rest)
{
	const struct bytes word[] = { first, rest };
	struct bytes       hash = hash_of_words(a, set->secrets.item[0], word, COUNT(word));

	return bytes_of(arena_printf(a, "SRS1%c%.*s=%.*s=%.*s", separators[set->separator],
	                             (int)set->hash_length, hash.at, (int)first.len, first.at,
	                             (int)rest.len, rest.at));
}

static struct bytes
make_first(const struct srs_settings *set, struct arena *a, int64_t wall, struct bytes local,
           struct bytes domain)
{
	unsigned           day = (unsigned)(wall / DAY_S % DAYS);
	const char         stamp[] = { digits[day >> 5], digits[day & 31], '\0' };
	const struct bytes word[] = { bytes_of(stamp), domain, local };
	struct bytes       hash = hash_of_words(a, set->secrets.item[0], word, COUNT(word));

	return bytes_of(arena_printf(a, "SRS0%c%.*s=%s=%.*s=%.*s", separators[set->separator],
	                             (int)set->hash_length, hash.at, stamp, (int)domain.len,
	                             domain.at, (int)local.len, local.at));
}

bool
srs_make(const struct srs_settings *set, struct bytes sender, int64_t wall, struct arena *a,
         struct bytes *out)
{
	struct bytes local, domain, rest, hash, first, made;

	if (set->domain[0] == '\0' || set->secrets.count == 0 || wall < 0 ||
	    !split_address(sender, &local, &domain) || local.at[0] == '"' ||
	    bytes_find(domain, '=') >= 0)
		return false;
	rest = bytes_cut(local, TAG + 1, SIZE_MAX);
	if (is_tagged(local, '1') && bytes_split(&rest, '=', &hash) &&
	    bytes_split(&rest, '=', &first) && first.len > 0 && rest.len > 1 &&
	    is_separator(rest.at[0]))
		made = make_again(set, a, first, rest);
	else if (is_tagged(local, '0') && local.len > TAG + 1)
		made = make_again(set, a, domain, bytes_cut(local, TAG, SIZE_MAX));
	else
		made = make_first(set, a, wall, local, domain);
	*out = bytes_of(arena_printf(a, "%.*s@%s", (int)made.len, made.at, set->domain));
	return fits(made, set->domain);
}

/* How many days ago; -1: it is no day. */
static int
days_since(struct bytes stamp, int64_t wall)
{
	unsigned day = 0;

	if (stamp.len != 2)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		const char *digit = strchr(digits, ascii_upper(stamp.at[i]));

		if (digit == NULL || *digit == '\0')
			return -1;
		day = day * 32 + (unsigned)(digit - digits);
	}
	return (int)(((unsigned)(wall / DAY_S % DAYS) + DAYS - day) % DAYS);
}

static enum srs_outcome
open_first(const struct srs_settings *set, struct bytes rest, int64_t wall, struct arena *a,
           struct bytes *out)
{
	struct bytes hash, stamp, domain;
	int          days;

	if (!bytes_split(&rest, '=', &hash) || !bytes_split(&rest, '=', &stamp) ||
	    !bytes_split(&rest, '=', &domain) || domain.len == 0 || rest.len == 0)
		return SRS_NOT;
	if (!hash_is_good(set, a, hash, (struct bytes[]){ stamp, domain, rest }, 3))
		return SRS_FORGED;
	days = days_since(stamp, wall);
	if (days < 0 || days > set->age_ms / 1000 / DAY_S)
		return SRS_EXPIRED;
	*out = bytes_of(
		arena_printf(a, "%.*s@%.*s", (int)rest.len, rest.at, (int)domain.len, domain.at));
	return SRS_OPENED;
}

/* How old it is the first one knows, and no other. */
static enum srs_outcome
open_again(const struct srs_settings *set, struct bytes rest, struct arena *a, struct bytes *out)
{
	struct bytes hash, first;

	if (!bytes_split(&rest, '=', &hash) || !bytes_split(&rest, '=', &first) || first.len == 0 ||
	    rest.len < 2 || !is_separator(rest.at[0]))
		return SRS_NOT;
	if (!hash_is_good(set, a, hash, (struct bytes[]){ first, rest }, 2))
		return SRS_FORGED;
	*out = bytes_of(
		arena_printf(a, "SRS0%.*s@%.*s", (int)rest.len, rest.at, (int)first.len, first.at));
	return SRS_OPENED;
}

enum srs_outcome
srs_open(const struct srs_settings *set, struct bytes address, int64_t wall, struct arena *a,
         struct bytes *out)
{
	struct bytes local, domain;

	if (set->domain[0] == '\0' || !split_address(address, &local, &domain) ||
	    local.len > LOCAL_MOST || !bytes_is(domain, set->domain))
		return SRS_NOT;
	if (is_tagged(local, '0'))
		return open_first(set, bytes_cut(local, TAG + 1, SIZE_MAX), wall, a, out);
	if (is_tagged(local, '1'))
		return open_again(set, bytes_cut(local, TAG + 1, SIZE_MAX), a, out);
	return SRS_NOT;
}
