#include "smtp/sender/route.h"
#include "base/random.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { EACH_DESTINATION = 1 << 20 /* what is named first is tried first */, LOOPBACK_PORT = 25 };

/* One search. */
struct finding {
	const struct route_request *q;
	struct arena               *a;
	struct route               *out;
	struct route_host           host[ROUTE_HOSTS_MOST];
	size_t                      hosts, begun; /* so many were there before this destination */
	uint32_t                    destination;  /* the how manieth                */
	bool                        waits, later, nowhere, emptied;
	uint32_t                    base; /* added to every preference            */
	uint32_t                    own;  /* the best preference we have ourselves */
	size_t                      names;
	bool                        named, bracketed, believed; /* of the hosts found next        */
	const char                 *domain;
};

/* ---- addresses ---- */

static bool
is_word_of(struct bytes list, const char *word)
{
	struct bytes one;

	while (bytes_split(&list, ' ', &one))
		if (bytes_is(one, word))
			return true;
	return false;
}

static bool
is_own(const struct finding *f, const struct peer *p)
{
	if (p->port != f->q->smtp_port)
		return false;
	if (is_word_of(f->q->own, p->text))
		return true;
	for (size_t i = 0; i < f->q->own_more.count; i++)
		if (bytes_is(bytes_of(p->text), f->q->own_more.item[i]))
			return true;
	return false;
}

static void
add_host(struct finding *f, const char *name, const char *asked, const struct peer *p,
         uint32_t preference)
{
	struct route_host *h = &f->host[f->hosts];

	if (f->hosts == ROUTE_HOSTS_MOST || f->hosts - f->begun == ROUTE_HOSTS_EACH ||
	    (p->family == AF_INET ? !f->q->v4 : !f->q->v6))
		return;
	for (size_t i = 0; i < f->hosts; i++)
		if (strcmp(f->host[i].peer.text, p->text) == 0 && f->host[i].peer.port == p->port)
			return;
	*h = (struct route_host){ name,
		                  asked,
		                  *p,
		                  f->base + preference,
		                  f->q->in_order ? f->hosts : random_number(),
		                  f->named,
		                  f->bracketed,
		                  f->believed,
		                  f->domain,
		                  f->destination };
	f->hosts++;
}

static bool
parse_address(struct bytes text, uint16_t port, struct peer *out)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in     *v4 = (void *)&ss;
	struct sockaddr_in6    *v6 = (void *)&ss;
	char                    copy[64];

	if (bytes_starts_nocase(text, BYTES("IPv6:")))
		text = bytes_cut(text, 5, SIZE_MAX);
	if (!bytes_string(text, copy, sizeof copy))
		return false;
	if (inet_pton(AF_INET, copy, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, copy, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
	} else {
		return false;
	}
	return peer_from(&ss, out);
}

/* Nobody's: "this network" and what is behind 224/4 (rfc6890:2.2.2), ::, ff00::/8; or not to be asked by our settings. */
bool
route_is_nowhere(const struct setting_list *forbidden, const struct peer *p)
{
	static const uint8_t zero[16];

	if (p->family == AF_INET ? p->raw[0] == 0 || p->raw[0] >= 224
	                         : p->raw[0] == 0xff || memcmp(p->raw, zero, sizeof zero) == 0)
		return true;
	for (size_t i = 0; i < forbidden->count; i++) {
		struct network n;
		const char    *wrong;

		if (network_parse(bytes_of(forbidden->item[i]), &n, &wrong) && network_holds(&n, p))
			return true;
	}
	return false;
}

bool
route_is_inside(const struct peer *p)
{
	return p->family == AF_INET ? p->raw[0] == 127 || (p->raw[0] == 169 && p->raw[1] == 254)
	                            : strcmp(p->text, "::1") == 0 ||
	                                      (p->raw[0] == 0xfe && (p->raw[1] & 0xc0) == 0x80);
}

/* What the world's DNS says of our loopback can only mean that it is led back to us. */
static bool
is_loopback(const struct finding *f, const struct peer *p)
{
	return f->q->smtp_port == LOOPBACK_PORT && p->port == LOOPBACK_PORT &&
	       (strcmp(p->text, "127.0.0.1") == 0 || strcmp(p->text, "::1") == 0);
}

/* An address the world's DNS has for a host. */
static bool
add_said(struct finding *f, const char *name, const char *asked, const struct peer *p,
         uint32_t preference)
{
	if (route_is_nowhere(&f->q->forbidden, p)) {
		f->nowhere = true;
		return false;
	}
	if ((is_own(f, p) || is_loopback(f, p)) && f->base + preference < f->own)
		f->own = f->base + preference;
	add_host(f, name, asked, p, preference);
	return true;
}

static bool
add_record(struct finding *f, const char *name, const char *asked, const struct answer_record *r,
           uint16_t type, uint16_t port, uint32_t preference)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in     *v4 = (void *)&ss;
	struct sockaddr_in6    *v6 = (void *)&ss;
	struct peer             p;

	if (r->data.len != (type == DNS_A ? 4 : 16))
		return false;
	if (type == DNS_A) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, r->data.at, 4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, r->data.at, 16);
	}
	if (!peer_from(&ss, &p)) {
		f->nowhere = true;
		return false;
	}
	return add_said(f, name, asked, &p, preference);
}

/* hosts(5): an address and its names. */
static bool
add_native(struct finding *f, struct bytes name, uint16_t port, uint32_t preference)
{
	static const char *const loopback[] = { "127.0.0.1", "::1" };
	struct bytes             rest = f->q->hosts, line, word, address;
	const char              *copy = arena_copy(f->a, name);
	struct peer              p;
	bool                     some = false;

	/* rfc6761:6.3 */
	for (size_t i = 0; bytes_is(name, "localhost") && i < COUNT(loopback); i++)
		if (parse_address(bytes_of(loopback[i]), port, &p)) {
			add_host(f, copy, copy, &p, preference);
			some = true;
		}
	while (!some && f->q->native && bytes_split(&rest, '\n', &line)) {
		line = bytes_cut(line, 0, (size_t)bytes_find(line, '#'));
		address.len = 0;
		for (size_t i = 0, from = 0; i <= line.len; i++) {
			if (i < line.len && line.at[i] != ' ' && line.at[i] != '\t')
				continue;
			word = bytes_cut(line, from, i - from);
			from = i + 1;
			if (word.len == 0)
				continue;
			if (address.len == 0)
				address = word;
			else if (bytes_equal_nocase(word, name) &&
			         parse_address(address, port, &p)) {
				add_host(f, copy, copy, &p, preference);
				some = true;
			}
		}
	}
	return some;
}

static enum route_outcome
no_answer(struct finding *f, struct bytes name, const char *type, enum answer_status s)
{
	bool later = s == ANSWER_LATER;

	f->out->status = later ? "4.4.3" : "5.4.4";
	f->out->absent = !later && f->q->dns;
	f->out->why = arena_printf(
		f->a, "Host or domain name not found. Name service error for name=%.*s type=%s: %s",
		(int)name.len, name.at, type,
		later ? "Host not found, try again" : "Host not found");
	return later ? ROUTE_LATER : ROUTE_NEVER;
}

/* smtp_dns_reply_filter left out all there was: somebody may mend it, and until then the mail waits, as in Postfix. */
static enum route_outcome
nothing_left(struct finding *f, struct bytes name, const char *type)
{
	f->emptied = true;
	f->out->status = "4.7.0";
	f->out->why = arena_printf(f->a,
	                           "Host or domain name not found. Name service error for "
	                           "name=%.*s type=%s: the reply filter leaves no record",
	                           (int)name.len, name.at, type);
	return ROUTE_LATER;
}

/* What a name has for addresses. */
static enum route_outcome
add_addresses(struct finding *f, struct bytes name, uint16_t port, uint32_t preference)
{
	static const uint16_t types[] = { DNS_AAAA, DNS_A };
	const char           *copy = arena_copy(f->a, name), *named;
	enum answer_status    worst = ANSWER_NO_RECORD;
	size_t                some = 0;
	bool                  emptied = false;

	if (f->names++ >= ROUTE_NAMES_MOST || add_native(f, name, port, preference))
		return ROUTE_FOUND;
	for (size_t t = 0; t < COUNT(types) && f->q->dns; t++) {
		const struct answer *x;

		if (types[t] == DNS_A ? !f->q->v4 : !f->q->v6)
			continue;
		if ((x = f->q->ask(f->q->ctx, name, types[t])) == NULL) {
			f->waits = true;
			continue;
		}
		if (x->status == ANSWER_LATER ||
		    (x->status == ANSWER_NO_NAME && worst != ANSWER_LATER))
			worst = x->status;
		emptied |= x->status == ANSWER_FOUND && x->records == 0;
		named = f->q->by_alias && x->name.len > 0 ? arena_copy(f->a, x->name) : copy;
		for (size_t i = 0; x->status == ANSWER_FOUND && i < x->records; i++)
			some += add_record(f, named, copy, &x->record[i], types[t], port,
			                   preference);
	}
	if (f->waits)
		return ROUTE_WAIT;
	if (some > 0)
		return ROUTE_FOUND;
	if (emptied)
		return nothing_left(f, name, f->q->v4 ? "A" : "AAAA");
	if (!f->nowhere)
		return no_answer(f, name, f->q->v4 ? "A" : "AAAA", worst);
	f->out->status = "5.4.4";
	f->out->why = arena_printf(f->a, "host %.*s has no address that mail may go to",
	                           (int)name.len, name.at);
	return ROUTE_NEVER;
}

/* ---- MX ---- */

static bool
is_null_mx(const struct answer *x)
{
	return x->records == 1 && (x->record[0].name.len == 0 || bytes_is(x->record[0].name, "."));
}

/* rfc5321:5.1 has names alone, but some write the address of a host where its name should be. */
static enum route_outcome
add_exchanger(struct finding *f, struct bytes name, uint16_t port, uint32_t preference)
{
	const char *copy = arena_copy(f->a, name);
	struct peer p;

	if (!parse_address(name, port, &p))
		return add_addresses(f, name, port, preference);
	if (add_said(f, copy, copy, &p, preference))
		return ROUTE_FOUND;
	f->out->status = "5.4.4";
	f->out->why = arena_printf(f->a, "host %.*s is no address that mail may go to",
	                           (int)name.len, name.at);
	return ROUTE_NEVER;
}

/* Of equal ones in the order they came in: each pass of a search asks about the same. */
static int
by_record(const void *a, const void *b)
{
	const struct answer_record *const *x = a, *const *y = b;

	if ((*x)->preference != (*y)->preference)
		return (*x)->preference < (*y)->preference ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* The best first, for where there are more than are looked up. */
static const struct answer_record **
exchangers_in_order(struct arena *a, const struct answer *x)
{
	const struct answer_record **all = arena_take_array(a, x->records + 1, sizeof *all);

	for (size_t i = 0; i < x->records; i++)
		all[i] = &x->record[i];
	qsort(all, x->records, sizeof *all, by_record);
	return all;
}

/* All MX hosts: those whose address cannot be found are left out while others have one. */
static enum route_outcome
add_exchangers(struct finding *f, struct bytes name, const struct answer *x, uint16_t port)
{
	const struct answer_record **all = exchangers_in_order(f->a, x);
	enum route_outcome           worst = ROUTE_NEVER, one;
	size_t                       found = 0;

	f->emptied = false;
	for (size_t i = 0; i < x->records; i++) {
		const struct answer_record *r = all[i];

		if (bytes_is(r->name, f->q->myhostname) && port == f->q->smtp_port &&
		    f->base + r->preference < f->own)
			f->own = f->base + r->preference;
		one = add_exchanger(f, arena_keep(f->a, r->name), port, r->preference);
		found += one == ROUTE_FOUND;
		if (one == ROUTE_LATER)
			worst = ROUTE_LATER;
	}
	if (f->waits)
		return ROUTE_WAIT;
	if (found > 0)
		return ROUTE_FOUND;
	if (f->nowhere && worst == ROUTE_NEVER)
		return ROUTE_NEVER; /* with the words of the host */
	if (f->emptied)
		return nothing_left(f, name, "MX");
	f->out->absent = false;
	f->out->status = worst == ROUTE_LATER ? "4.4.3" : f->q->no_mx_later ? "4.4.4" : "5.4.4";
	if (f->q->no_mx_later)
		worst = ROUTE_LATER;
	f->out->why = arena_printf(f->a, "unable to look up the mail exchangers of %.*s",
	                           (int)name.len, name.at);
	return worst;
}

static enum route_outcome
add_domain(struct finding *f, struct bytes name, uint16_t port)
{
	const struct answer *x;

	if (f->q->lmtp || !f->q->dns)
		return add_addresses(f, name, port, 0);
	if ((x = f->q->ask(f->q->ctx, name, DNS_MX)) == NULL) {
		f->waits = true;
		return ROUTE_WAIT;
	}
	switch (x->status) {
	case ANSWER_FOUND: break;
	case ANSWER_NO_RECORD: return add_addresses(f, name, port, 0); /* rfc5321:5.1 */
	case ANSWER_LATER:
		if (f->q->ignore_mx_error)
			return add_addresses(f, name, port, 0);
		return no_answer(f, name, "MX", x->status);
	default:
		if (add_native(f, name, port, 0))
			return ROUTE_FOUND;
		return no_answer(f, name, "MX", x->status);
	}
	if (x->records == 0)
		return nothing_left(f, name, "MX");
	if (is_null_mx(x)) {
		f->out->status = "5.1.10";
		f->out->why = arena_printf(f->a, "Domain %.*s does not accept mail (nullMX)",
		                           (int)name.len, name.at);
		return ROUTE_NEVER;
	}
	f->named = true;
	f->believed = x->trust == ANSWER_SECURE;
	return add_exchangers(f, name, x, port);
}

/* ---- the order ---- */

static int
family_rank(const struct route_host *h, int preference)
{
	return preference == PREFER_ANY
	               ? 0
	               : (h->peer.family == AF_INET) == (preference == PREFER_IPV6);
}

static int
by_preference(const void *a, const void *b, void *request)
{
	const struct route_host    *x = a, *y = b;
	const struct route_request *q = request;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	if (family_rank(x, q->preference) != family_rank(y, q->preference))
		return family_rank(x, q->preference) - family_rank(y, q->preference);
	return x->chance < y->chance ? -1 : x->chance > y->chance;
}

/* The first of this destination, both families among them: half of the places are each one's if the other needs the rest. */
static void
take_first(struct finding *f)
{
	size_t most = f->q->address_most, part = (most + 1) / 2, n = f->begun, of[2] = { 0 },
	       all[2] = { 0 };

	qsort_r(f->host + f->begun, f->hosts - f->begun, sizeof *f->host, by_preference,
	        (void *)(uintptr_t)f->q);
	if (most == 0 || f->hosts - f->begun <= most)
		return;
	for (size_t i = f->begun; i < f->hosts && f->q->balance; i++)
		all[f->host[i].peer.family == AF_INET]++;
	for (size_t i = f->begun; i < f->hosts && n - f->begun < most; i++) {
		int    me = f->host[i].peer.family == AF_INET;
		size_t theirs = all[!me] < part ? all[!me] : part;

		if (of[me] + theirs >= most && of[me] >= part)
			continue;
		of[me]++;
		f->host[n++] = f->host[i];
	}
	f->hosts = n;
}

/* ---- a destination ---- */

/* ":2525" or ":smtp" */
static bool
parse_port(struct bytes text, uint16_t *port)
{
	static const struct {
		const char *name;
		uint16_t    port;
	} names[] = { { "smtp", 25 },
		      { "submission", 587 },
		      { "smtps", 465 },
		      { "submissions", 465 },
		      { "lmtp", 24 } };
	uint64_t n;

	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_is(text, names[i].name)) {
			*port = names[i].port;
			return true;
		}
	if (!bytes_number(text, &n) || n == 0 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}

static enum route_outcome
misconfigured(struct finding *f, struct bytes text)
{
	f->out->status = "4.3.5";
	f->out->why = arena_printf(f->a,
	                           "\"%.*s\" is no destination: expected host, [host] or "
	                           "[host]:port",
	                           (int)text.len, text.at);
	return ROUTE_LATER;
}

/* "host", "[host]", with ":port" behind it.  False: it is none of these; the port stays where none is named. */
static bool
parse_destination(struct bytes text, struct bytes *name, bool *brackets, uint16_t *port)
{
	struct bytes behind = { NULL, 0 };
	ptrdiff_t    end;

	*brackets = text.len > 0 && text.at[0] == '[';
	end = bytes_find(text, *brackets ? ']' : ':');
	if (*brackets && end < 0)
		return false;
	*name = text;
	if (*brackets) {
		*name = bytes_cut(text, 1, (size_t)end - 1);
		behind = bytes_cut(text, (size_t)end + 1, SIZE_MAX);
		if (behind.len > 0 && behind.at[0] != ':')
			return false;
		behind = bytes_cut(behind, 1, SIZE_MAX);
	} else if (end >= 0) {
		*name = bytes_cut(text, 0, (size_t)end);
		behind = bytes_cut(text, (size_t)end + 1, SIZE_MAX);
	}
	return name->len > 0 && (behind.len == 0 || parse_port(behind, port));
}

/* The next of a list, by commas or blanks. */
static bool
next_destination(struct bytes *rest, struct bytes *one)
{
	size_t from = 0, to;

	while (from < rest->len && strchr(", \t", rest->at[from]) != NULL)
		from++;
	for (to = from; to < rest->len && strchr(", \t", rest->at[to]) == NULL;)
		to++;
	*one = bytes_cut(*rest, from, to - from);
	*rest = bytes_cut(*rest, to, SIZE_MAX);
	return one->len > 0;
}

bool
route_is_list(struct bytes text, struct bytes *wrong)
{
	struct bytes name;
	uint16_t     port = 0;
	bool         brackets;

	while (next_destination(&text, wrong))
		if (!parse_destination(*wrong, &name, &brackets, &port))
			return false;
	return true;
}

static enum route_outcome
add_destination(struct finding *f, struct bytes text)
{
	struct bytes       name;
	uint16_t           port = f->q->port;
	enum route_outcome o = ROUTE_FOUND;
	bool               brackets;
	struct peer        p;

	if (!parse_destination(text, &name, &brackets, &port))
		return misconfigured(f, text);
	f->begun = f->hosts;
	f->names = 0;
	f->named = false;
	f->bracketed = brackets || parse_address(name, port, &p);
	f->believed = true;
	f->domain = arena_copy(f->a, name);
	if (parse_address(name, port, &p)) {
		const char *address = arena_copy(f->a, bytes_of(p.text));

		if (is_own(f, &p) && f->base < f->own)
			f->own = f->base;
		add_host(f, address, address, &p, 0);
	} else if (brackets) {
		o = add_addresses(f, name, port, 0);
	} else {
		o = add_domain(f, name, port);
	}
	take_first(f);
	f->base += EACH_DESTINATION;
	f->destination++;
	return o;
}

/* The hosts of a list, one destination behind another; the best outcome of all. */
static enum route_outcome
add_list(struct finding *f, struct bytes text)
{
	enum route_outcome best = ROUTE_NEVER, one;
	struct bytes       rest = text, destination;
	bool               some = false;

	while (next_destination(&rest, &destination)) {
		one = add_destination(f, destination);
		if (!some || one == ROUTE_FOUND || (one == ROUTE_LATER && best == ROUTE_NEVER))
			best = one;
		some = true;
	}
	return some ? best : misconfigured(f, text);
}

/* We, and who is no better than we, do not get it from us; where nobody better is left of that destination, nor does
   who is named behind it: he would only lead it round. */
static void
leave_out_own(struct finding *f)
{
	size_t n = 0, better = 0;

	for (size_t i = 0; i < f->hosts; i++)
		better += f->host[i].preference < f->own &&
		          f->host[i].preference / EACH_DESTINATION == f->own / EACH_DESTINATION;
	for (size_t i = 0; i < f->hosts; i++)
		if (f->host[i].preference < f->own ||
		    (better > 0 &&
		     f->host[i].preference / EACH_DESTINATION != f->own / EACH_DESTINATION))
			f->host[n++] = f->host[i];
	f->hosts = n;
}

static enum route_outcome
finish(struct finding *f, enum route_outcome o)
{
	if (f->waits)
		return ROUTE_WAIT;
	if (f->hosts > 0 && f->own != UINT32_MAX) {
		leave_out_own(f);
		if (f->hosts == 0) {
			f->out->status = "5.4.6";
			f->out->loops = true;
			f->out->absent = false;
			f->out->why = arena_printf(f->a, "mail for %s loops back to myself",
			                           f->q->nexthop);
			return ROUTE_NEVER;
		}
	}
	if (f->hosts == 0 && o == ROUTE_FOUND) {
		f->out->status = "4.4.3";
		f->out->why =
			arena_printf(f->a,
		                     "no address of %s is of a family that inet_protocols allows",
		                     f->q->nexthop);
		return ROUTE_LATER;
	}
	if (f->hosts == 0)
		return o;
	f->out->host = arena_take_array(f->a, f->hosts, sizeof *f->host);
	memcpy(f->out->host, f->host, f->hosts * sizeof *f->host);
	f->out->hosts = f->hosts;
	return ROUTE_FOUND;
}

/* Behind all others.  What became of the destination stays said of it. */
static void
add_fallback(struct finding *f)
{
	const struct route said = *f->out;
	const char        *why = NULL;
	size_t             found = 0;

	for (size_t i = 0; i < f->q->fallback.count; i++)
		switch (add_destination(f, bytes_of(f->q->fallback.item[i]))) {
		case ROUTE_NEVER: why = f->out->why; break;
		default: found++;
		}
	*f->out = said;
	f->out->no_fallback = found == 0 ? why : NULL;
}

enum route_outcome
route_find(const struct route_request *q, struct arena *a, struct route *out)
{
	struct finding     f = { .q = q, .a = a, .out = out, .own = UINT32_MAX };
	struct bytes       text = bytes_of(q->nexthop);
	enum route_outcome o;

	*out = (struct route){ .status = "", .why = "" };
	if (q->lmtp && bytes_starts_nocase(text, BYTES("inet:")))
		text = bytes_cut(text, 5, SIZE_MAX);
	o = add_list(&f, text);
	add_fallback(&f);
	return finish(&f, o);
}
