#include "smtp/sender/tlsa.h"
#include <string.h>

bool
tlsa_read(struct bytes data, struct tls_record *out)
{
	const unsigned char *at = (const unsigned char *)data.at;

	if (data.len < 4)
		return false;
	*out = (struct tls_record){ at[0], at[1], at[2], bytes_cut(data, 3, SIZE_MAX) };
	return true;
}

void
tlsa_write(const struct tls_record *r, struct buffer *out)
{
	buffer_printf(out, "%u %u %u ", r->usage, r->selector, r->matching);
	for (size_t i = 0; i < r->data.len; i++)
		buffer_printf(out, "%02x", (unsigned char)r->data.at[i]);
}

/* Whether the addresses are proved, and what the host is called behind all its aliases. */
static enum tlsa_outcome
look_at_host(const struct tlsa_request *q, bool *secure, struct bytes *name)
{
	static const uint16_t types[] = { DNS_AAAA, DNS_A };
	bool                  waits = false, some = false;

	*secure = true;
	*name = bytes_of(q->host);
	for (size_t i = 0; i < COUNT(types); i++) {
		const struct answer *x;

		if (types[i] == DNS_A ? !q->v4 : !q->v6)
			continue;
		if ((x = q->ask(q->ctx, bytes_of(q->host), types[i])) == NULL) {
			waits = true;
			continue;
		}
		if (x->status != ANSWER_FOUND)
			continue;
		some = true;
		*secure = *secure && x->trust == ANSWER_SECURE;
		*name = x->name;
	}
	*secure = *secure && some;
	return waits ? TLSA_WAIT : TLSA_FOUND;
}

/* rfc7672:2.2.2: the addresses behind an alias prove nothing, but the alias itself may be proved. */
static enum tlsa_outcome
look_at_alias(const struct tlsa_request *q, bool *secure)
{
	const struct answer *x = q->ask(q->ctx, bytes_of(q->host), DNS_CNAME);

	if (x == NULL)
		return TLSA_WAIT;
	*secure = x->status == ANSWER_FOUND && x->trust == ANSWER_SECURE;
	return TLSA_FOUND;
}

static void
take_records(const struct answer *x, struct arena *a, struct tlsa *out)
{
	struct tls_record *to = arena_take_array(a, x->records, sizeof *to);

	for (size_t i = 0; i < x->records && out->records < TLSA_RECORDS_MOST; i++)
		if (tlsa_read(x->record[i].data, &to[out->records]) &&
		    tls_record_usable(&to[out->records])) {
			to[out->records].data = arena_keep(a, to[out->records].data);
			out->records++;
		}
	out->record = to;
}

/* rfc7672:2.2.3 */
static enum tlsa_outcome
look_at_records(const struct tlsa_request *q, struct bytes base, struct arena *a, struct tlsa *out)
{
	const char *owner = arena_printf(a, "_%u._tcp.%.*s", q->port, (int)base.len, base.at);
	const struct answer *x = q->ask(q->ctx, bytes_of(owner), DNS_TLSA);

	if (x == NULL)
		return TLSA_WAIT;
	if (x->status == ANSWER_LATER) {
		out->why = arena_printf(a, "TLSA lookup error for %s:%u", q->host, q->port);
		return TLSA_LATER;
	}
	if (x->status != ANSWER_FOUND || x->trust != ANSWER_SECURE)
		return TLSA_NONE;
	out->base = arena_copy(a, base);
	take_records(x, a, out);
	return out->records > 0 ? TLSA_FOUND : TLSA_UNUSABLE;
}

/* rfc7672:3.2.2 */
static void
add_name(struct tlsa *out, const char *name)
{
	for (size_t i = 0; i < out->names; i++)
		if (strcmp(out->name[i], name) == 0)
			return;
	if (*name != '\0')
		out->name[out->names++] = name;
}

enum tlsa_outcome
tlsa_find(const struct tlsa_request *q, struct arena *a, struct tlsa *out)
{
	struct bytes      host = bytes_of(q->host), name = { NULL, 0 };
	bool              secure = false;
	enum tlsa_outcome o;

	*out = (struct tlsa){ .why = "", .base = q->host };
	if (look_at_host(q, &secure, &name) == TLSA_WAIT)
		return TLSA_WAIT;
	o = TLSA_NONE;
	if (secure && !bytes_equal_nocase(name, host))
		o = look_at_records(q, name, a, out);
	else if (!secure && !bytes_equal_nocase(name, host) &&
	         look_at_alias(q, &secure) == TLSA_WAIT)
		return TLSA_WAIT;
	if (o == TLSA_NONE && secure)
		o = look_at_records(q, host, a, out);
	if (o != TLSA_FOUND)
		return o;
	add_name(out, out->base);
	add_name(out, q->host);
	add_name(out, q->domain);
	return o;
}
