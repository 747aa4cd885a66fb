#include "queue/tlsrpt.h"
#include "base/arena.h"
#include "base/pack.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Of a failure: host address type reason local helo; the first packings had four of them, and no mark. */
enum { TEXTS = 6, OLD_TEXTS = 4 };
#define MARK 0xffff0002u
struct failure {
	struct failure *next;
	const char     *text[TEXTS];
	uint64_t        count;
};
struct policy {
	struct policy  *next;
	uint8_t         kind;
	const char     *text;
	uint64_t        good, bad;
	struct failure *failure;
	size_t          failures;
};
struct tlsrpt {
	struct arena  *life;
	struct policy *first;
	size_t         policies;
};

struct tlsrpt *
tlsrpt_open(void)
{
	struct arena  *life = arena_open(NULL);
	struct tlsrpt *t = arena_take(life, sizeof *t);

	t->life = life;
	return t;
}

void
tlsrpt_close(struct tlsrpt **tp)
{
	struct tlsrpt *t = *tp;
	struct arena  *life;

	*tp = NULL;
	if (t == NULL)
		return;
	life = t->life;
	arena_close(&life);
}

/* ---- counting ---- */

static struct policy *
policy_of(struct tlsrpt *t, uint8_t kind, const char *text)
{
	struct policy *p = t->first;

	while (p != NULL && (p->kind != kind || strcmp(p->text, text) != 0))
		p = p->next;
	if (p != NULL || t->policies == TLSRPT_POLICIES_MOST)
		return p != NULL ? p : t->first;
	p = arena_take(t->life, sizeof *p);
	*p = (struct policy){ .next = t->first,
		              .kind = kind,
		              .text = arena_copy(t->life, bytes_of(text)) };
	t->first = p;
	t->policies++;
	return p;
}

static void
failure_add(struct tlsrpt *t, struct policy *p, const char *const text[TEXTS], uint64_t count)
{
	struct failure *f = p->failure;

	for (; f != NULL; f = f->next)
		if (strcmp(f->text[0], text[0]) == 0 && strcmp(f->text[1], text[1]) == 0 &&
		    strcmp(f->text[2], text[2]) == 0 && strcmp(f->text[4], text[4]) == 0)
			break;
	if (f == NULL && p->failures < TLSRPT_FAILURES_MOST) {
		f = arena_take(t->life, sizeof *f);
		f->next = p->failure;
		for (size_t i = 0; i < TEXTS; i++)
			f->text[i] = arena_copy(t->life, bytes_of(text[i]));
		p->failure = f;
		p->failures++;
	}
	if (f != NULL)
		f->count += count;
}

void
tlsrpt_add(struct tlsrpt *t, const struct tlsrpt_session *s)
{
	struct policy    *p = policy_of(t, s->policy, s->text);
	const char *const text[TEXTS] = {
		s->host, s->address, s->type, s->reason, s->local, s->helo
	};

	if (*s->type == '\0') {
		p->good++;
		return;
	}
	p->bad++;
	failure_add(t, p, text, 1);
}

/* ---- as bytes ---- */

void
tlsrpt_pack(const struct tlsrpt *t, struct buffer *b)
{
	pack_u32(b, MARK);
	pack_u32(b, (uint32_t)t->policies);
	for (const struct policy *p = t->first; p != NULL; p = p->next) {
		pack_u8(b, p->kind);
		pack_string(b, p->text);
		pack_u64(b, p->good);
		pack_u64(b, p->bad);
		pack_u32(b, (uint32_t)p->failures);
		for (const struct failure *f = p->failure; f != NULL; f = f->next) {
			for (size_t i = 0; i < TEXTS; i++)
				pack_string(b, f->text[i]);
			pack_u64(b, f->count);
		}
	}
}

static void
unpack_policy(struct tlsrpt *t, struct unpack *u, struct arena *a, size_t texts)
{
	uint8_t        kind = unpack_u8(u);
	const char    *text = arena_copy(a, unpack_bytes(u));
	struct policy *p = policy_of(t, kind < TLSRPT_POLICIES ? kind : TLSRPT_NONE, text);
	uint32_t       n;

	p->good = unpack_u64(u);
	p->bad = unpack_u64(u);
	n = unpack_u32(u);
	for (uint32_t i = 0; i < n && i < TLSRPT_FAILURES_MOST; i++) {
		const char *of[TEXTS];

		for (size_t k = 0; k < TEXTS; k++)
			of[k] = k < texts ? arena_copy(a, unpack_bytes(u)) : "";
		failure_add(t, p, of, unpack_u64(u));
	}
}

struct tlsrpt *
tlsrpt_unpack(struct bytes packed)
{
	struct unpack  u = unpack_of(packed);
	struct tlsrpt *t = tlsrpt_open();
	struct arena  *a = arena_open(NULL);
	uint32_t       n = unpack_u32(&u);
	size_t         texts = n == MARK ? TEXTS : OLD_TEXTS;

	if (n == MARK)
		n = unpack_u32(&u);
	for (uint32_t i = 0; i < n && i < TLSRPT_POLICIES_MOST; i++)
		unpack_policy(t, &u, a, texts);
	if (!unpack_done(&u))
		tlsrpt_close(&t);
	arena_close(&a);
	return t;
}

/* ---- the report ---- */

/* rfc8259:7 */
static void
put_text(struct buffer *b, struct bytes text)
{
	buffer_add_char(b, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c == '"' || c == '\\')
			buffer_printf(b, "\\%c", c);
		else if (c < ' ' || c > '~')
			buffer_printf(b, "\\u%04x", c);
		else
			buffer_add_char(b, (char)c);
	}
	buffer_add_char(b, '"');
}

static void
put_member(struct buffer *b, const char *before, const char *name, const char *text)
{
	buffer_printf(b, "%s\"%s\":", before, name);
	put_text(b, bytes_of(text));
}

static void
put_time(struct buffer *b, const char *name, int64_t at)
{
	time_t    when = (time_t)at;
	struct tm tm;

	(void)gmtime_r(&when, &tm);
	buffer_printf(b, "\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", name, tm.tm_year + 1900,
	              tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* The lines of a policy, and of those of MTA-STS the hosts once more (rfc8460:4.5). */
static void
put_policy(const struct policy *p, const char *domain, struct buffer *b)
{
	static const char *const kinds[] = { "no-policy-found", "tlsa", "sts" };
	struct bytes             rest = bytes_of(p->text), line;
	struct buffer            hosts = { 0 };
	const char              *before = "";

	put_member(b, "{\"policy\":{", "policy-type", kinds[p->kind]);
	if (p->kind != TLSRPT_NONE)
		buffer_add_string(b, ",\"policy-string\":[");
	while (p->kind != TLSRPT_NONE && bytes_split(&rest, '\n', &line)) {
		line = bytes_trim(line);
		if (line.len == 0)
			continue;
		buffer_add_string(b, before);
		put_text(b, line);
		if (bytes_starts(line, BYTES("mx:"))) {
			buffer_add_string(&hosts, hosts.len > 0 ? "," : "");
			put_text(&hosts, bytes_trim(bytes_cut(line, 3, SIZE_MAX)));
		}
		before = ",";
	}
	if (p->kind != TLSRPT_NONE)
		buffer_add_char(b, ']');
	put_member(b, ",", "policy-domain", domain);
	if (hosts.len > 0)
		buffer_printf(b, ",\"mx-host\":[%.*s]", (int)hosts.len, hosts.at);
	buffer_add_char(b, '}');
	buffer_free(&hosts);
}

void
tlsrpt_write(const struct tlsrpt *t, const struct tlsrpt_head *h, struct buffer *b)
{
	static const char *const names[TEXTS] = { "receiving-mx-hostname", "receiving-ip",
		                                  "result-type",           "failure-reason-code",
		                                  "sending-mta-ip",        "receiving-mx-helo" };

	put_member(b, "{", "organization-name", h->organization);
	buffer_add_string(b, ",\"date-range\":{");
	put_time(b, "start-datetime", h->day);
	buffer_add_char(b, ',');
	put_time(b, "end-datetime", h->day + 86399);
	put_member(b, "},", "contact-info", h->contact);
	put_member(b, ",", "report-id", h->id);
	buffer_add_string(b, ",\"policies\":[");
	for (const struct policy *p = t->first; p != NULL; p = p->next) {
		put_policy(p, h->domain, b);
		buffer_printf(b,
		              ",\"summary\":{\"total-successful-session-count\":%" PRIu64
		              ",\"total-failure-session-count\":%" PRIu64 "}",
		              p->good, p->bad);
		if (p->failure != NULL)
			buffer_add_string(b, ",\"failure-details\":[");
		for (const struct failure *f = p->failure; f != NULL; f = f->next) {
			const char *before = "{";

			for (size_t i = 0; i < TEXTS; i++)
				if (*f->text[i] != '\0') {
					put_member(b, before, names[i], f->text[i]);
					before = ",";
				}
			buffer_printf(b, ",\"failed-session-count\":%" PRIu64 "}%s", f->count,
			              f->next != NULL ? "," : "]");
		}
		buffer_add_string(b, p->next != NULL ? "}," : "}");
	}
	buffer_add_string(b, "]}\n");
}
