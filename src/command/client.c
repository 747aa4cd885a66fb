#include "command/client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/imap/write.h"
#include "base/arena.h"
#include "command/keepers.h"
#include "directory/directory.h"
#include "role/wire.h"

enum { LINE_MOST = 16 << 20, READ_AT_ONCE = 64 << 10, SAID_ROOM = 4096 };

struct client {
	int           fd;
	bool          lost;
	unsigned      tag;
	uint64_t      literal; /* bytes of a literal not taken yet         */
	size_t        used;    /* of `in`, by the value given out last     */
	struct buffer in, out, quoted;
	char          said[SAID_ROOM], user[512], capabilities[SAID_ROOM];
};

/* ---- who ---- */

/* "ID KEEPER ADDRESS" */
static void
add_person(struct people *p, struct bytes line, const char *mask)
{
	struct bytes id, keeper;
	uint64_t     at, n;

	if (!bytes_split(&line, ' ', &id) || !bytes_split(&line, ' ', &keeper) ||
	    !bytes_number(id, &n) || !bytes_number(keeper, &at))
		return;
	p->one[p->count] = (struct person){ n, (uint32_t)at, arena_copy(p->life, line) };
	if (mask == NULL || mask_fits(mask, p->one[p->count].user))
		p->count++;
}

static void
add_people(struct people *p, struct bytes said, const char *mask)
{
	size_t       lines = 1;
	struct bytes line;

	for (size_t i = 0; i < said.len; i++)
		lines += said.at[i] == '\n';
	p->one = arena_take_array(p->life, lines, sizeof *p->one);
	while (bytes_split(&said, '\n', &line))
		add_person(p, line, mask);
}

/* A name that is no account's may be an operating-system user's. */
static bool
add_system_user(struct people *p, const char *who)
{
	const struct passwd *user = strchr(who, '@') == NULL ? getpwnam(who) : NULL;

	if (user == NULL || user->pw_uid == 0 || user->pw_uid >= DIRECTORY_SYSTEM_UIDS)
		return false;
	p->one = arena_take_array(p->life, 1, sizeof *p->one);
	p->one[p->count++] = (struct person){ system_account(SYSTEM_MAILBOX, user->pw_uid),
		                              KEEPER_OF_USER | user->pw_uid,
		                              arena_copy(p->life, bytes_of(user->pw_name)) };
	return true;
}

int
client_people_if_any(struct call *c, const char *who, struct people *p)
{
	bool          mask = strpbrk(who, "*?") != NULL && strlen(who) < 256;
	const char   *argv[] = { "account", "id", mask ? "" : who };
	struct buffer said = { 0 };
	int           status;

	*p = (struct people){ .life = arena_open(NULL) };
	status = command_hear(c, "clerk", &(struct word_ask){ argv, 3, { NULL, 0 } }, &said);
	if (status != 0 && add_system_user(p, who))
		status = 0;
	else if (status != 0)
		(void)fwrite(said.at, 1, said.len, stderr);
	else
		add_people(p, buffer_bytes(&said), mask ? who : NULL);
	buffer_free(&said);
	return status == COMMAND_FAILED ? COMMAND_NO_USER : status;
}

int
client_people(struct call *c, const char *who, struct people *p)
{
	int status = client_people_if_any(c, who, p);

	if (status != COMMAND_DONE || p->count > 0)
		return status;
	(void)fprintf(stderr, "mansio: no account is like \"%s\"\n", who);
	return COMMAND_NO_USER;
}

void
people_close(struct people *p)
{
	arena_close(&p->life);
}

bool
client_place(struct call *c, const struct person *p, struct buffer *place)
{
	char        id[24], role[32];
	const char *ask[] = { "place", id, p->user };
	bool        good;

	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)p->id);
	keeper_socket(p->keeper, role);
	good = command_talk(c, role, &(struct word_ask){ ask, COUNT(ask), { NULL, 0 } }, -1,
	                    place) == COMMAND_DONE;
	if (place->len > 0 && place->at[place->len - 1] == '\n')
		place->len--;
	return good;
}

/* ---- the wire ---- */

static void
be_lost(struct client *c)
{
	if (!c->lost)
		(void)snprintf(c->said, sizeof c->said, "the server hung up; its log may say why");
	c->lost = true;
}

bool
client_send(struct client *c)
{
	while (c->out.len > 0 && !c->lost) {
		ssize_t n = send(c->fd, c->out.at, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			be_lost(c);
		else if (n > 0)
			buffer_eat(&c->out, (size_t)n);
	}
	buffer_reset(&c->out);
	return !c->lost;
}

static bool
hear(struct client *c)
{
	ssize_t n;

	do
		n = read(c->fd, buffer_room(&c->in, READ_AT_ONCE), READ_AT_ONCE);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		buffer_took(&c->in, (size_t)n);
	else
		be_lost(c);
	return n > 0;
}

/* The byte at this place, once it is here; -1 when it will never be. */
static int
byte_at(struct client *c, size_t at)
{
	if (at > LINE_MOST)
		be_lost(c);
	while (c->in.len <= at)
		if (c->lost || !hear(c))
			return -1;
	return (unsigned char)c->in.at[at];
}

/* Of an answer that broke off less is here than was to be used. */
static void
forget_used(struct client *c)
{
	buffer_eat(&c->in, c->used < c->in.len ? c->used : c->in.len);
	c->used = 0;
}

bool
client_take(struct client *c, struct bytes *piece)
{
	forget_used(c);
	if (c->literal == 0 || (c->in.len == 0 && !hear(c)))
		return false;
	*piece = buffer_bytes(&c->in);
	if (piece->len > c->literal)
		piece->len = (size_t)c->literal;
	c->literal -= piece->len;
	c->used = piece->len;
	return true;
}

static void
skip_literal(struct client *c)
{
	struct bytes piece;

	while (client_take(c, &piece))
		continue;
	forget_used(c);
}

/* ---- values ---- */

static void
next_quoted(struct client *c, struct client_value *v)
{
	size_t at = 1;
	int    b;

	buffer_reset(&c->quoted);
	while ((b = byte_at(c, at++)) != '"' && b >= 0) {
		if (b == '\\')
			b = byte_at(c, at++);
		buffer_add_char(&c->quoted, (char)b);
	}
	c->used = b < 0 ? 0 : at;
	*v = (struct client_value){ VALUE_STRING, buffer_bytes(&c->quoted), c->quoted.len };
}

static void
next_literal(struct client *c, struct client_value *v)
{
	size_t at = 1;
	int    b;

	*v = (struct client_value){ .kind = VALUE_LITERAL };
	while ((b = byte_at(c, at)) >= '0' && b <= '9' && v->size < UINT64_MAX / 16) {
		v->size = v->size * 10 + (uint64_t)(b - '0');
		at++;
	}
	if (b != '}' || byte_at(c, at + 1) != '\r' || byte_at(c, at + 2) != '\n') {
		be_lost(c);
		return;
	}
	c->used = at + 3;
	c->literal = v->size;
}

/* An atom may hold brackets, and blanks and parentheses in them: BODY[HEADER.FIELDS (TO)]<0>. */
static void
next_atom(struct client *c, struct client_value *v)
{
	size_t at = 0;
	int    depth = 0, b;

	while ((b = byte_at(c, at)) >= 0 && b != '\r') {
		if (depth == 0 && at > 0 && (b == ' ' || b == '(' || b == ')'))
			break;
		depth += b == '[' ? 1 : b == ']' ? -1 : 0;
		at++;
	}
	c->used = at;
	*v = (struct client_value){ VALUE_ATOM, { c->in.at, at }, at };
}

void
client_next(struct client *c, struct client_value *v)
{
	int b;

	*v = (struct client_value){ .kind = VALUE_END };
	skip_literal(c);
	while ((b = byte_at(c, 0)) == ' ') {
		c->used = 1;
		forget_used(c);
	}
	if (b == '"')
		next_quoted(c, v);
	else if (b == '{')
		next_literal(c, v);
	else if (b == '(' || b == ')') {
		v->kind = b == '(' ? VALUE_OPEN : VALUE_CLOSE;
		c->used = 1;
	} else if (b >= 0 && b != '\r')
		next_atom(c, v);
	if (c->lost)
		v->kind = VALUE_END;
}

void
client_gather(struct client *c, const struct client_value *v, struct buffer *out, size_t most)
{
	struct bytes piece;

	if (v->kind != VALUE_LITERAL) {
		bool nil = v->kind == VALUE_ATOM && bytes_is(v->text, "NIL");
		buffer_add(out, bytes_cut(v->text, 0, nil ? 0 : most));
		return;
	}
	while (client_take(c, &piece)) {
		piece = bytes_cut(piece, 0, most);
		buffer_add(out, piece);
		most -= piece.len;
	}
}

/* The rest of the line stands in memory, without its end. */
static struct bytes
rest_of_line(struct client *c)
{
	size_t at = 0;
	int    b;

	forget_used(c);
	while ((b = byte_at(c, at)) >= 0 && b != '\r')
		at++;
	c->used = at;
	return (struct bytes){ c->in.at, c->lost ? 0 : at };
}

static void
end_line(struct client *c)
{
	struct client_value v;

	do
		client_next(c, &v);
	while (v.kind != VALUE_END);
	if (byte_at(c, 0) == '\r' && byte_at(c, 1) == '\n')
		c->used = 2;
	else
		be_lost(c);
	forget_used(c);
}

/* ---- commands ---- */

static bool
is_condition(struct bytes word)
{
	return bytes_is(word, "OK") || bytes_is(word, "NO") || bytes_is(word, "BAD") ||
	       bytes_is(word, "BYE") || bytes_is(word, "PREAUTH");
}

static void
note_said(struct client *c, struct bytes text)
{
	(void)snprintf(c->said, sizeof c->said, "%.*s", (int)bytes_trim(text).len,
	               bytes_trim(text).at);
}

/* resp-cond or data (rfc3501:9), behind "* ". */
static void
hear_untagged(struct client *c, client_each *each, void *ctx)
{
	struct client_answer a = { 0 };
	struct client_value  v;
	char                 word[64];
	uint64_t             n;

	client_next(c, &v);
	if (v.kind == VALUE_ATOM && bytes_number(v.text, &n)) {
		a.number = (uint32_t)n;
		client_next(c, &v);
	}
	if (v.kind != VALUE_ATOM || !bytes_string(v.text, word, sizeof word)) {
		end_line(c);
		return;
	}
	a.word = bytes_of(word);
	if (is_condition(a.word)) {
		a.text = bytes_trim(rest_of_line(c));
		if (bytes_is(a.word, "BYE"))
			note_said(c, a.text);
	}
	if (each != NULL)
		each(ctx, c, &a);
	if (is_condition(a.word)) {
		forget_used(c);
		c->used = 2;
		forget_used(c);
	} else
		end_line(c);
}

static enum client_outcome
hear_tagged(struct client *c)
{
	struct client_value v;
	enum client_outcome o = CLIENT_BAD;

	client_next(c, &v);
	o = bytes_is(v.text, "OK") ? CLIENT_OK : bytes_is(v.text, "NO") ? CLIENT_NO : CLIENT_BAD;
	note_said(c, rest_of_line(c));
	forget_used(c);
	c->used = 2;
	forget_used(c);
	return o;
}

static enum client_outcome
hear_all(struct client *c, client_each *each, void *ctx)
{
	struct client_value v;

	while (!c->lost) {
		client_next(c, &v);
		if (v.kind == VALUE_ATOM && bytes_equal(v.text, BYTES("*")))
			hear_untagged(c, each, ctx);
		else if (v.kind == VALUE_ATOM && bytes_equal(v.text, BYTES("+"))) {
			(void)rest_of_line(c);
			end_line(c);
		} else
			return c->lost ? CLIENT_LOST : hear_tagged(c);
	}
	return CLIENT_LOST;
}

struct buffer *
client_begin(struct client *c)
{
	buffer_printf(&c->out, "c%u ", ++c->tag);
	return &c->out;
}

struct buffer *
client_out(struct client *c)
{
	return &c->out;
}

void
client_put_literal(struct client *c, uint64_t size)
{
	buffer_printf(&c->out, "{%" PRIu64 "+}\r\n", size);
}

void
client_put_string(struct client *c, struct bytes text)
{
	bool plain = text.len < 1000;

	for (size_t i = 0; i < text.len && plain; i++)
		plain = text.at[i] >= ' ' && text.at[i] < 0x7f && text.at[i] != '"' &&
		        text.at[i] != '\\';
	if (plain)
		buffer_printf(&c->out, "\"%.*s\"", (int)text.len, text.at);
	else {
		client_put_literal(c, text.len);
		buffer_add(&c->out, text);
	}
}

void
client_put_mailbox(struct client *c, const char *name)
{
	write_mailbox(&c->out, name, true);
}

enum client_outcome
client_run(struct client *c, client_each *each, void *ctx)
{
	buffer_add_string(&c->out, "\r\n");
	(void)client_send(c);
	return hear_all(c, each, ctx);
}

enum client_outcome
client_say(struct client *c, client_each *each, void *ctx, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	buffer_vprintf(client_begin(c), form, list);
	va_end(list);
	return client_run(c, each, ctx);
}

const char *
client_said(const struct client *c)
{
	return c->said;
}

const char *
client_user(const struct client *c)
{
	return c->user;
}

bool
client_can(const struct client *c, const char *capability)
{
	struct bytes rest = bytes_of(c->capabilities), word;

	while (bytes_split(&rest, ' ', &word))
		if (bytes_is(word, capability))
			return true;
	return false;
}

/* ---- beginning and end ---- */

/* "session OK [CAPABILITY ...] Logged in"; then names are UTF-8 (rfc6855:3). */
static bool
greeted(struct client *c)
{
	const char *end;

	if (hear_all(c, NULL, NULL) != CLIENT_OK)
		return false;
	end = strchr(c->said, ']');
	if (strncmp(c->said, "[CAPABILITY ", 12) == 0 && end != NULL)
		(void)bytes_string((struct bytes){ c->said + 12, (size_t)(end - c->said - 12) },
		                   c->capabilities, sizeof c->capabilities);
	return client_say(c, NULL, NULL, "ENABLE UTF8=ACCEPT") == CLIENT_OK;
}

struct client *
client_over(int fd)
{
	struct client *c = memory_take(sizeof *c);

	c->fd = fd;
	return c;
}

struct client *
client_open(struct call *call, const struct person *p)
{
	struct client *c;
	char           id[24], role[32];
	const char    *argv[] = { "session", id, p->user };
	int            pair[2], status;

	(void)snprintf(id, sizeof id, "%" PRIu64, p->id);
	keeper_socket(p->keeper, role);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)fprintf(stderr, "mansio: %s\n", strerror(errno));
		return NULL;
	}
	(void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
	status =
		command_talk(call, role, &(struct word_ask){ argv, 3, { NULL, 0 } }, pair[1], NULL);
	(void)close(pair[1]);
	if (status != 0) {
		(void)close(pair[0]);
		return NULL;
	}
	c = client_over(pair[0]);
	(void)snprintf(c->user, sizeof c->user, "%s", p->user);
	if (!greeted(c)) {
		(void)fprintf(stderr, "mansio: %s: %s\n", p->user, c->said);
		client_close(&c);
	}
	return c;
}

void
client_close(struct client **cp)
{
	struct client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (!c->lost)
		(void)client_say(c, NULL, NULL, "LOGOUT");
	(void)close(c->fd);
	buffer_free(&c->in);
	buffer_free(&c->out);
	buffer_free(&c->quoted);
	memory_free(c);
}
