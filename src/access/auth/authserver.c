#include "access/auth/authserver.h"
#include "base/base64.h"
#include "base/map.h"
#include "base/random.h"
#include "sasl/sasl.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A request that has no answer yet. */
struct request {
	bool  waits;      /* the program is to speak: CONT                      */
	bool  takes_last; /* final-resp-ok: data may go with OK                 */
	char *user;       /* it is right; the program is to take the last data  */
};

struct authserver {
	const struct authserver_needs *needs;
	void                          *ctx;
	struct setting_list            mechanisms;
	struct map                    *requests; /* id -> struct request */
	bool                           greeted;  /* its VERSION has come */
};

static struct bytes
id_key(const uint32_t *id)
{
	return (struct bytes){ (const char *)id, sizeof *id };
}

/* ---- saying ------------------------------------------------------------------------- */

/* What would part fields or lines is written with \001. */
static void
say_value(struct buffer *out, const char *text)
{
	static const char plain[] = "\001\t\r\n", written[] = "1trn";

	for (; *text != '\0'; text++) {
		const char *c = strchr(plain, *text);
		if (c == NULL) {
			buffer_add_char(out, *text);
			continue;
		}
		buffer_add_char(out, '\001');
		buffer_add_char(out, written[c - plain]);
	}
}

static const char *
facts_of(const char *mechanism)
{
	static const struct {
		const char *name, *facts;
	} known[] = {
		{ "PLAIN", "\tplaintext" },
		{ "LOGIN", "\tplaintext" },
		{ "CRAM-MD5", "\tdictionary\tactive" },
		{ "DIGEST-MD5", "\tdictionary\tactive\tmutual-auth" },
		{ "ANONYMOUS", "\tanonymous" },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (strcasecmp(mechanism, known[i].name) == 0)
			return known[i].facts;
	return strncasecmp(mechanism, "SCRAM-", 6) == 0 ? "\tmutual-auth" : "";
}

/* Channel binding is of a TLS session that the program has and we have not. */
static bool
binds(const char *mechanism)
{
	return bytes_ends_nocase(bytes_of(mechanism), BYTES("-PLUS")) ||
	       strcasecmp(mechanism, "EXTERNAL") == 0;
}

static bool
offered(const struct authserver *s, struct bytes mechanism)
{
	struct sasl_place p = { 0 };
	const char       *name;

	while ((name = sasl_next(&s->mechanisms, &p)) != NULL)
		if (bytes_is(mechanism, name) && !binds(name))
			return true;
	return false;
}

struct authserver *
authserver_open(const struct setting_list *mechanisms, uint32_t pid, uint32_t number,
                const struct authserver_needs *needs, void *ctx)
{
	struct authserver *s = memory_take(sizeof *s);
	struct buffer     *out = needs->out(ctx);
	struct sasl_place  p = { 0 };
	const char        *name;

	*s = (struct authserver){ needs, ctx, *mechanisms, map_open(), false };
	buffer_add_string(out, "VERSION\t1\t2\n");
	while ((name = sasl_next(mechanisms, &p)) != NULL)
		if (!binds(name))
			buffer_printf(out, "MECH\t%s%s\n", name, facts_of(name));
	buffer_printf(out, "SPID\t%u\nCUID\t%u\nCOOKIE\t%016llx%016llx\nDONE\n", pid, number,
	              (unsigned long long)random_number(), (unsigned long long)random_number());
	return s;
}

static void
request_end(struct authserver *s, uint32_t id)
{
	struct request *r = map_drop(s->requests, id_key(&id));

	if (r != NULL)
		memory_free(r->user);
	memory_free(r);
}

void
authserver_close(struct authserver **sp)
{
	struct authserver *s = *sp;
	uint32_t           id;

	*sp = NULL;
	if (s == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(s->requests, &p);) {
		memcpy(&id, p.key.at, sizeof id);
		s->needs->drop(s->ctx, s, id);
		request_end(s, id);
	}
	map_close(&s->requests);
	memory_free(s);
}

static void
say_fail(struct authserver *s, uint32_t id, const char *user, const char *facts)
{
	buffer_printf(s->needs->out(s->ctx), "FAIL\t%u", id);
	if (user[0] != '\0') {
		buffer_add_string(s->needs->out(s->ctx), "\tuser=");
		say_value(s->needs->out(s->ctx), user);
	}
	buffer_printf(s->needs->out(s->ctx), "%s\n", facts);
	request_end(s, id);
}

static void
say_ok(struct authserver *s, uint32_t id, const char *user, struct bytes last)
{
	buffer_printf(s->needs->out(s->ctx), "OK\t%u\tuser=", id);
	say_value(s->needs->out(s->ctx), user);
	if (last.len > 0) {
		buffer_add_string(s->needs->out(s->ctx), "\tresp=");
		base64_encode(s->needs->out(s->ctx), last);
	}
	buffer_add_char(s->needs->out(s->ctx), '\n');
	request_end(s, id);
}

static void
say_cont(struct authserver *s, struct request *r, uint32_t id, struct bytes data)
{
	buffer_printf(s->needs->out(s->ctx), "CONT\t%u\t", id);
	base64_encode(s->needs->out(s->ctx), data);
	buffer_add_char(s->needs->out(s->ctx), '\n');
	r->waits = true;
}

void
authserver_more(struct authserver *s, uint32_t id, struct bytes challenge)
{
	struct request *r = map_get(s->requests, id_key(&id));

	if (r != NULL && !r->waits)
		say_cont(s, r, id, challenge);
}

void
authserver_done(struct authserver *s, uint32_t id, enum authserver_answer answer, const char *user,
                struct bytes last)
{
	static const char *const facts[] = { [AUTHSERVER_WRONG] = "",
		                             [AUTHSERVER_TEMPORARY] = "\ttemp\tcode=temp_fail",
		                             [AUTHSERVER_DISABLED] =
		                                     "\tuser_disabled\tcode=user_disabled" };
	struct request          *r = map_get(s->requests, id_key(&id));

	if (r == NULL)
		return;
	if (answer != AUTHSERVER_OK)
		say_fail(s, id, user, facts[answer]);
	else if (last.len == 0 || r->takes_last)
		say_ok(s, id, user, last);
	else {
		struct bytes name = bytes_of(user);
		r->user = memory_take(name.len + 1);
		memcpy(r->user, name.at, name.len);
		say_cont(s, r, id, last);
	}
}

/* ---- hearing ---------------------------------------------------------------------------- */

/* In place: what was written with \001 is what it was.  A NUL ends it. */
static struct bytes
unescape(char *at, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = at[i];
		if (c == '\001' && i + 1 < len) {
			c = at[++i];
			c = c == '1'   ? '\001'
			    : c == 't' ? '\t'
			    : c == 'r' ? '\r'
			    : c == 'n' ? '\n'
			    : c == '0' ? '\0'
			               : c;
		}
		at[n++] = c;
	}
	return (struct bytes){ at, n };
}

static bool
number_read(struct bytes text, uint32_t *out)
{
	uint64_t n;

	if (!bytes_number(text, &n) || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

static void
peer_read(struct bytes address, struct peer *p)
{
	char text[48];

	if (!bytes_string(address, text, sizeof text))
		return;
	if (inet_pton(AF_INET, text, p->raw) == 1)
		p->family = AF_INET;
	else if (inet_pton(AF_INET6, text, p->raw) == 1)
		p->family = AF_INET6;
	else
		return;
	(void)snprintf(p->text, sizeof p->text, "%s", text);
}

/* A login over SMTP is made to submit mail. */
static const char *
service_of(struct bytes said, char out[static 16])
{
	if (bytes_is(said, "smtp") || bytes_is(said, "submission"))
		return "submission";
	return bytes_string(said, out, 16) && out[0] != '\0' ? out : "other";
}

/* AUTH id mechanism service=... [rip=...] [secured] [final-resp-ok] [resp=...] */
static bool
hear_auth(struct authserver *s, struct bytes rest, struct arena *a)
{
	struct authserver_request q = { .service = "other",
		                        .peer = { .family = AF_UNIX, .text = "local" } };
	struct request           *r;
	struct bytes              field, resp = { NULL, 0 };
	struct buffer             decoded = { 0 };
	char                      service[16];
	bool                      last = false, whole = true;

	if (!bytes_split(&rest, '\t', &field) || !number_read(field, &q.id) ||
	    map_get(s->requests, id_key(&q.id)) != NULL || !bytes_split(&rest, '\t', &q.mechanism))
		return false;
	while (bytes_split(&rest, '\t', &field)) {
		char        *copy = arena_copy(a, field);
		struct bytes one = unescape(copy, field.len);
		if (bytes_starts(one, BYTES("service=")))
			q.service = service_of(bytes_cut(one, 8, SIZE_MAX), service);
		else if (bytes_starts(one, BYTES("rip=")))
			peer_read(bytes_cut(one, 4, SIZE_MAX), &q.peer);
		else if (bytes_is(one, "secured") || bytes_starts(one, BYTES("secured=")))
			q.secured = true;
		else if (bytes_is(one, "final-resp-ok"))
			last = true;
		else if (bytes_starts(one, BYTES("resp="))) {
			/* The last of them: what follows is of it. */
			resp = bytes_cut(one, 5, SIZE_MAX);
			q.has_initial = true;
		}
	}
	if (q.has_initial && resp.len > 0 && !bytes_equal(resp, BYTES("=")))
		whole = base64_decode(&decoded, resp);
	q.initial = buffer_bytes(&decoded);
	if (map_count(s->requests) >= AUTHSERVER_REQUESTS)
		say_fail(s, q.id, "", "\ttemp\tcode=temp_fail");
	else if (!whole || !offered(s, q.mechanism))
		say_fail(s, q.id, "",
		         whole ? "\treason=Unsupported authentication mechanism."
		               : "\treason=Invalid base64 data in initial response");
	else {
		r = memory_take(sizeof *r);
		r->takes_last = last;
		(void)map_put(s->requests, id_key(&q.id), r);
		s->needs->start(s->ctx, s, &q);
	}
	if (decoded.len > 0)
		explicit_bzero(decoded.at, decoded.len);
	buffer_free(&decoded);
	return true;
}

/* CONT id base64 */
static bool
hear_cont(struct authserver *s, struct bytes rest)
{
	struct bytes    field;
	struct buffer   decoded = { 0 };
	struct request *r;
	uint32_t        id;

	if (!bytes_split(&rest, '\t', &field) || !number_read(field, &id))
		return false;
	if ((r = map_get(s->requests, id_key(&id))) == NULL)
		return true;
	if (!r->waits)
		return false;
	r->waits = false;
	if (rest.len > 0 && !bytes_equal(rest, BYTES("=")) && !base64_decode(&decoded, rest)) {
		if (r->user == NULL)
			s->needs->drop(s->ctx, s, id);
		say_fail(s, id, "", "\treason=Invalid base64 data in continued response");
	} else if (r->user != NULL)
		say_ok(s, id, r->user, (struct bytes){ NULL, 0 });
	else
		s->needs->step(s->ctx, s, id, buffer_bytes(&decoded));
	if (decoded.len > 0)
		explicit_bzero(decoded.at, decoded.len);
	buffer_free(&decoded);
	return true;
}

static bool
hear_cancel(struct authserver *s, struct bytes rest)
{
	struct request *r;
	uint32_t        id;

	if (!number_read(rest, &id))
		return false;
	if ((r = map_get(s->requests, id_key(&id))) == NULL)
		return true;
	if (r->user == NULL)
		s->needs->drop(s->ctx, s, id);
	request_end(s, id);
	return true;
}

/* Another major version is another protocol. */
static bool
hear_version(struct authserver *s, struct bytes rest)
{
	struct bytes major;

	s->greeted = bytes_split(&rest, '\t', &major) && bytes_is(major, "1");
	return s->greeted;
}

static bool
hear_line(struct authserver *s, struct bytes line, struct arena *a)
{
	struct bytes word;

	if (!bytes_split(&line, '\t', &word))
		return false;
	if (bytes_is(word, "VERSION"))
		return hear_version(s, line);
	if (!s->greeted)
		return false;
	if (bytes_is(word, "AUTH"))
		return hear_auth(s, line, a);
	if (bytes_is(word, "CONT"))
		return hear_cont(s, line);
	if (bytes_is(word, "CANCEL"))
		return hear_cancel(s, line);
	return true; /* CPID, and what later versions say */
}

bool
authserver_take(struct authserver *s, struct bytes arrived, size_t *used)
{
	bool      good = true;
	ptrdiff_t end;

	*used = 0;
	while (good && (end = bytes_find(arrived, '\n')) >= 0) {
		struct arena *a = arena_open(NULL);
		good = end <= AUTHSERVER_LINE &&
		       hear_line(s, bytes_cut(arrived, 0, (size_t)end), a);
		arena_close(&a);
		*used += (size_t)end + 1;
		arrived = bytes_cut(arrived, (size_t)end + 1, SIZE_MAX);
	}
	return good && arrived.len <= AUTHSERVER_LINE;
}
