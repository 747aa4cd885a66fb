/* cidr: networks and what is said of those in them */
#include "directory/table_inner.h"

#include <arpa/inet.h>
#include <string.h>

struct network_pattern {
	int           family;
	unsigned      bits;
	unsigned char address[16];
};

/* An address, perhaps in brackets; 0 when it is none. */
static int
address_of(struct bytes b, unsigned char out[static 16])
{
	char text[INET6_ADDRSTRLEN + 1];
	int  family;

	if (b.len > 2 && b.at[0] == '[' && b.at[b.len - 1] == ']')
		b = bytes_cut(b, 1, b.len - 2);
	if (b.len > INET6_ADDRSTRLEN || !bytes_string(b, text, sizeof text))
		return 0;
	family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	memset(out, 0, 16);
	return inet_pton(family, text, out) == 1 ? family : 0;
}

/* Whether the first bits of two addresses are the same. */
static bool
same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool
has_host_bits(const struct network_pattern *n)
{
	unsigned char zero[16] = { 0 }, copy[16];
	unsigned      whole = n->bits / 8;

	memcpy(copy, n->address, sizeof copy);
	if (whole < sizeof copy)
		copy[whole] = (unsigned char)(copy[whole] << n->bits % 8);
	for (unsigned i = 0; i < whole; i++)
		copy[i] = 0;
	return memcmp(copy, zero, sizeof zero) != 0;
}

static const char *
take_network(struct bytes *line, struct arena *arena, void **pattern)
{
	struct network_pattern *n;
	struct bytes            word, bits;
	size_t                  len = 0;
	uint64_t                number;
	ptrdiff_t               slash;
	char                    shown[64];
	unsigned char           address[16];
	int                     family;

	while (len < line->len && !table_is_blank(line->at[len]))
		len++;
	word = bytes_cut(*line, 0, len);
	*line = bytes_cut(*line, len, line->len);
	if (word.len > 2 && word.at[0] == '[' && word.at[word.len - 1] == ']')
		word = bytes_cut(word, 1, word.len - 2);
	slash = bytes_find(word, '/');
	bits = slash < 0 ? (struct bytes){ NULL, 0 } : bytes_cut(word, (size_t)slash + 1, word.len);
	family = address_of(slash < 0 ? word : bytes_cut(word, 0, (size_t)slash), address);
	number = family == AF_INET6 ? 128 : 32;
	if (family == 0 || (slash >= 0 && (!bytes_number(bits, &number) ||
	                                   number > (family == AF_INET6 ? 128 : 32))))
		return arena_printf(
			arena, "\"%s\" is no network; write it as 192.0.2.0/24 or 2001:db8::/32",
			table_shown(word, shown));
	n = memory_take(sizeof *n);
	*n = (struct network_pattern){ .family = family, .bits = (unsigned)number };
	memcpy(n->address, address, sizeof n->address);
	if (has_host_bits(n)) {
		memory_free(n);
		return arena_printf(arena,
		                    "\"%s\" has bits behind the first %u; the network has none",
		                    table_shown(word, shown), (unsigned)number);
	}
	*pattern = n;
	return NULL;
}

struct address_key {
	int           family;
	unsigned char address[16];
};

/* A rule for the one family says nothing of the other, negated or not. */
static enum table_fit
network_fits(const struct table_rule *rule, struct bytes key, void *how)
{
	const struct network_pattern *n = rule->pattern;
	const struct address_key     *a = how;

	(void)key;
	return n->family == a->family && same_bits(n->address, a->address, n->bits) != rule->negated
	               ? TABLE_FITS
	               : TABLE_FITS_NOT;
}

static const struct table_rules_kind networks = {
	.type = "cidr",
	.take = take_network,
	.fits = network_fits,
	.drop = memory_free,
};

static void *
cidr_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
          struct buffer *errors, struct buffer *warnings)
{
	(void)grammar;
	(void)warnings;
	return table_rules_open(&networks, name, source, errors);
}

static enum table_outcome
cidr_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	struct address_key       a;
	enum table_outcome       outcome;
	const struct table_rule *rule;

	if (key.at[0] == '[' || (a.family = address_of(key, a.address)) == 0)
		return TABLE_NONE;
	rule = table_rules_find(own, key, &a, &outcome, arena, value);
	if (rule != NULL)
		*value = arena_keep(arena, rule->result);
	return outcome;
}

static void
rules_close(void *own)
{
	table_rules_close(own);
}

const struct table_type table_cidr = {
	.name = "cidr",
	.file = true,
	.pattern = true,
	.open = cidr_open,
	.find = cidr_find,
	.close = rules_close,
};
