#include "command/test-send.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/random.h"
#include "command/prompt.h"
#include "command/talk.h"

enum { PATIENCE_MS = 30000, PARTS_MOST = 50, TO_MOST = 1000 };
enum {
	SENT = 0,
	SEND_WRONG = 1,
	SEND_CONNECT = 2,
	SEND_LOST = 6,
	SEND_BANNER = 21,
	SEND_HELO,
	SEND_MAIL,
	SEND_RCPT,
	SEND_DATA,
	SEND_LETTER,
	SEND_QUIT,
	SEND_AUTH,
	SEND_TLS,
	SEND_HELO_AGAIN = 32
};

struct sending {
	struct call  *call;
	struct talk  *talk;
	struct arena *life; /* of what --h-NAME makes */
	const char   *to, *from, *server, *port, *helo, *mechanism, *user, *password, *body, *data,
		*quit, *protocol, *authorities, *certificate, *key;
	const char *header[PARTS_MOST], *attach[PARTS_MOST];
	size_t      headers, attachments;
	bool        tls, tls_optional, tls_first, auth, verify;
	int         number; /* of the port */
	bool        starttls, pipelining;
	char        offered[512]; /* mechanisms, as EHLO tells them */
	char        challenge[1024];
	SSL_CTX    *context;
	char        host[256], name[256];
};

/*
 * Options
 */

enum option_kind { OPTION_VALUE, OPTION_SWITCH, OPTION_MAYBE, OPTION_LIST };
struct option {
	const char      *names; /* without hyphens, by blanks */
	enum option_kind kind;
	size_t           where, count;
};
#define AT(f) offsetof(struct sending, f)
/* clang-format off */
static const struct option options[] = {
	{ "t to",                          OPTION_VALUE,  AT(to), 0 },
	{ "f from",                        OPTION_VALUE,  AT(from), 0 },
	{ "s server",                      OPTION_VALUE,  AT(server), 0 },
	{ "p port",                        OPTION_VALUE,  AT(port), 0 },
	{ "h helo ehlo",                   OPTION_VALUE,  AT(helo), 0 },
	{ "tls",                           OPTION_SWITCH, AT(tls), 0 },
	{ "tlso tls-optional",             OPTION_SWITCH, AT(tls_optional), 0 },
	{ "tlsc tls-on-connect",           OPTION_SWITCH, AT(tls_first), 0 },
	{ "tls-verify",                    OPTION_SWITCH, AT(verify), 0 },
	{ "tls-ca-path",                   OPTION_VALUE,  AT(authorities), 0 },
	{ "tls-cert",                      OPTION_VALUE,  AT(certificate), 0 },
	{ "tls-key",                       OPTION_VALUE,  AT(key), 0 },
	{ "a auth",                        OPTION_MAYBE,  AT(mechanism), AT(auth) },
	{ "au auth-user",                  OPTION_VALUE,  AT(user), 0 },
	{ "ap auth-password",              OPTION_VALUE,  AT(password), 0 },
	{ "body",                          OPTION_VALUE,  AT(body), 0 },
	{ "d data",                        OPTION_VALUE,  AT(data), 0 },
	{ "q quit quit-after",             OPTION_VALUE,  AT(quit), 0 },
	{ "protocol",                      OPTION_VALUE,  AT(protocol), 0 },
	{ "ah add-header header",          OPTION_LIST,   AT(header), AT(headers) },
	{ "attach",                        OPTION_LIST,   AT(attach), AT(attachments) },
};
/* clang-format on */
#undef AT

static const struct option *
option_named(const char *argument)
{
	struct bytes word = bytes_of(argument), rest, name;

	if (word.len < 2 || word.at[0] != '-')
		return NULL;
	word = bytes_cut(word, word.at[1] == '-' ? 2 : 1, word.len);
	for (size_t i = 0; i < COUNT(options); i++)
		for (rest = bytes_of(options[i].names); bytes_split(&rest, ' ', &name);)
			if (bytes_equal(word, name))
				return &options[i];
	return NULL;
}

/* How many arguments it took; 0: it wants one more, or too many were given. */
static int
take_option(struct sending *s, const struct option *o, const char *value)
{
	char       *base = (char *)s;
	const char *place;
	size_t     *count;

	switch (o->kind) {
	case OPTION_SWITCH: *(bool *)(void *)(base + o->where) = true; return 1;
	case OPTION_MAYBE:
		*(bool *)(void *)(base + o->count) = true;
		if (value == NULL || value[0] == '-')
			return 1;
		*(const char **)(void *)(base + o->where) = value;
		return 2;
	case OPTION_LIST:
		count = (size_t *)(void *)(base + o->count);
		if (value == NULL || *count >= PARTS_MOST)
			return 0;
		((const char **)(void *)(base + o->where))[(*count)++] = value;
		return 2;
	case OPTION_VALUE: break;
	}
	if ((place = value) == NULL)
		return 0;
	*(const char **)(void *)(base + o->where) = place;
	return 2;
}

/* "--h-Subject text" is --header "Subject: text".  False: it is no such option. */
static bool
take_field(struct sending *s, const char *name, const char *value)
{
	static const struct {
		const char *text;
		size_t      len;
	} before[] = { { "--h-", 4 }, { "-h-", 3 } };

	for (size_t i = 0; i < COUNT(before); i++)
		if (strncmp(name, before[i].text, before[i].len) == 0 &&
		    name[before[i].len] != '\0' && value != NULL && s->headers < PARTS_MOST) {
			s->header[s->headers++] =
				arena_printf(s->life, "%s: %s", name + before[i].len, value);
			return true;
		}
	return false;
}

static int
read_options(struct sending *s, int argc, char **argv)
{
	for (int i = 1, used; i < argc; i += used) {
		const struct option *o = option_named(argv[i]);

		if (o == NULL && take_field(s, argv[i], argv[i + 1])) {
			used = 2;
			continue;
		}
		if (o == NULL)
			return command_wrong(s->call, "test send knows no %s", argv[i]);
		if ((used = take_option(s, o, argv[i + 1])) == 0)
			return command_wrong(s->call, "%s wants a value", argv[i]);
	}
	if (s->to == NULL)
		return command_wrong(s->call, "say whom to: -t ADDRESS");
	if (s->user != NULL || s->password != NULL)
		s->auth = true;
	if (s->protocol != NULL && strcasecmp(s->protocol, "lmtp") != 0 &&
	    strcasecmp(s->protocol, "smtp") != 0 && strcasecmp(s->protocol, "esmtp") != 0)
		return command_wrong(s->call, "--protocol is smtp or lmtp");
	s->number = s->tls_first                                                  ? 465
	            : s->protocol != NULL && strcasecmp(s->protocol, "lmtp") == 0 ? 24
	                                                                          : 25;
	if (!talk_target(s->server == NULL ? "localhost" : s->server, s->host, &s->number))
		return command_wrong(s->call, "%s is no server", s->server);
	if (s->port != NULL) {
		uint64_t n = 0;
		if (!bytes_number(bytes_of(s->port), &n) || n == 0 || n > 65535)
			return command_wrong(s->call, "%s is no port", s->port);
		s->number = (int)n;
	}
	return COMMAND_DONE;
}

/*
 * The dialogue, as swaks shows it
 */

struct showing {
	struct sending *s;
	bool            bad;
};

static void
show_line(const char *sign, struct bytes line)
{
	(void)printf("%s ", sign);
	for (size_t i = 0; i < line.len; i++)
		(void)putchar((line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 127
		                      ? '?'
		                      : line.at[i]);
	(void)putchar('\n');
}

static void
show_reply(void *ctx, struct bytes line)
{
	struct showing *w = ctx;
	bool            tls = talk_ssl(w->s->talk) != NULL;

	w->bad = line.len > 0 && (line.at[0] == '4' || line.at[0] == '5');
	show_line(w->bad ? (tls ? "<~*" : "<**") : tls ? "<~ " : "<- ", line);
}

/* Keeps what EHLO offers, too. */
static void
show_offer(void *ctx, struct bytes line)
{
	struct showing *w = ctx;
	struct bytes    word = bytes_cut(line, 4, line.len);

	show_reply(ctx, line);
	if (bytes_is(word, "STARTTLS"))
		w->s->starttls = true;
	if (bytes_starts_nocase(word, BYTES("AUTH ")))
		(void)bytes_string(bytes_cut(word, 5, word.len), w->s->offered,
		                   sizeof w->s->offered);
}

static void
show_challenge(void *ctx, struct bytes line)
{
	struct showing *w = ctx;

	show_reply(ctx, line);
	(void)bytes_string(bytes_cut(line, 4, line.len), w->s->challenge, sizeof w->s->challenge);
}

static int
hear(struct sending *s, void (*each)(void *ctx, struct bytes line))
{
	struct showing w = { s, false };
	int            code = talk_reply(s->talk, each, &w);

	if (code == 0)
		(void)printf("*** %s\n", talk_why(s->talk));
	return code;
}

static void
say_shown(struct sending *s, struct bytes line, const char *instead)
{
	struct buffer b = { 0 };

	show_line(talk_ssl(s->talk) != NULL ? " ~>" : " ->",
	          instead != NULL ? bytes_of(instead) : line);
	buffer_add(&b, line);
	buffer_add_string(&b, "\r\n");
	(void)talk_say(s->talk, buffer_bytes(&b));
	if (instead != NULL)
		prompt_forget(&b);
	buffer_free(&b);
}

static __attribute__((format(printf, 2, 3))) int
command(struct sending *s, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;
	int           code;

	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	say_shown(s, buffer_bytes(&b), NULL);
	code = hear(s, show_reply);
	buffer_free(&b);
	return code;
}

/*
 * Steps
 */

static int
hello(struct sending *s)
{
	struct buffer b = { 0 };
	bool          lmtp = s->protocol != NULL && strcasecmp(s->protocol, "lmtp") == 0;
	int           code;

	s->starttls = false;
	s->offered[0] = '\0';
	buffer_printf(&b, "%s %s", lmtp ? "LHLO" : "EHLO", s->name);
	say_shown(s, buffer_bytes(&b), NULL);
	code = hear(s, show_offer);
	if (code / 100 == 5 && !lmtp)
		code = command(s, "HELO %s", s->name);
	buffer_free(&b);
	return code;
}

static bool
secure(struct sending *s)
{
	SSL *ssl;
	int  bits;

	s->context = SSL_CTX_new(TLS_client_method());
	if (s->context == NULL)
		return false;
	(void)SSL_CTX_set_default_verify_paths(s->context);
	if ((s->authorities != NULL &&
	     SSL_CTX_load_verify_locations(s->context, s->authorities, NULL) != 1) ||
	    (s->certificate != NULL &&
	     (SSL_CTX_use_certificate_chain_file(s->context, s->certificate) != 1 ||
	      SSL_CTX_use_PrivateKey_file(s->context, s->key != NULL ? s->key : s->certificate,
	                                  SSL_FILETYPE_PEM) != 1))) {
		(void)printf("*** TLS: a file of certificates or a key cannot be used\n");
		return false;
	}
	if ((ssl = SSL_new(s->context)) == NULL)
		return false;
	(void)SSL_set_tlsext_host_name(ssl, s->host);
	if (s->verify) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		(void)SSL_set1_host(ssl, s->host);
	}
	if (!talk_secure(s->talk, ssl)) {
		(void)printf("*** TLS startup failed (%s)\n", talk_why(s->talk));
		return false;
	}
	bits = SSL_get_cipher_bits(ssl, NULL);
	(void)printf("=== TLS started with cipher %s:%s:%d\n", SSL_get_version(ssl),
	             SSL_get_cipher_name(ssl), bits);
	return true;
}

static bool
offers(const struct sending *s, const char *mechanism)
{
	struct bytes rest = bytes_of(s->offered), word;

	while (bytes_split(&rest, ' ', &word))
		if (bytes_is(word, mechanism))
			return true;
	return false;
}

/* Base64 of a text, said and not shown. */
static int
say_secret(struct sending *s, const char *before, struct bytes raw)
{
	struct buffer b = { 0 };
	int           code;

	buffer_add_string(&b, before);
	base64_encode(&b, raw);
	say_shown(s, buffer_bytes(&b), *before != '\0' ? "AUTH PLAIN (not shown)" : "(not shown)");
	code = hear(s, show_challenge);
	prompt_forget(&b);
	return code;
}

static int
auth_plain(struct sending *s)
{
	struct buffer b = { 0 };
	int           code;

	buffer_add_char(&b, '\0');
	buffer_add_string(&b, s->user);
	buffer_add_char(&b, '\0');
	buffer_add_string(&b, s->password);
	code = say_secret(s, "AUTH PLAIN ", buffer_bytes(&b));
	prompt_forget(&b);
	return code;
}

static int
auth_login(struct sending *s)
{
	struct buffer b = { 0 };
	int           code = command(s, "AUTH LOGIN");

	if (code == 334) {
		base64_encode(&b, bytes_of(s->user));
		code = command(s, "%.*s", (int)b.len, b.at);
	}
	buffer_free(&b);
	return code == 334 ? say_secret(s, "", bytes_of(s->password)) : code;
}

/* rfc2195:2 */
static int
auth_cram(struct sending *s)
{
	struct buffer challenge = { 0 }, answer = { 0 };
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned      n = 0;
	int           code;

	say_shown(s, BYTES("AUTH CRAM-MD5"), NULL);
	code = hear(s, show_challenge);
	if (code == 334 && base64_decode(&challenge, bytes_of(s->challenge)) &&
	    HMAC(EVP_md5(), s->password, (int)strlen(s->password),
	         (const unsigned char *)challenge.at, challenge.len, mac, &n) != NULL) {
		buffer_printf(&answer, "%s ", s->user);
		for (unsigned i = 0; i < n; i++)
			buffer_printf(&answer, "%02x", mac[i]);
		code = say_secret(s, "", buffer_bytes(&answer));
	}
	buffer_free(&challenge);
	buffer_free(&answer);
	return code;
}

static int
log_in(struct sending *s)
{
	static const struct {
		const char *name;
		int (*run)(struct sending *);
	} ways[] = { { "CRAM-MD5", auth_cram }, { "PLAIN", auth_plain }, { "LOGIN", auth_login } };
	struct buffer typed = { 0 };
	int           code = 0;

	if (s->user == NULL)
		s->user = s->from;
	if (s->password == NULL) {
		if (!prompt_password(NULL, "Password: ", &typed))
			return SEND_AUTH;
		buffer_add_char(&typed, '\0');
		s->password = typed.at;
	}
	for (size_t i = 0; i < COUNT(ways) && code == 0; i++)
		if (s->mechanism != NULL ? strcasecmp(s->mechanism, ways[i].name) == 0
		                         : offers(s, ways[i].name))
			code = ways[i].run(s);
	if (code == 0)
		(void)printf("*** Auth: %s; the server offers: %s\n",
		             s->mechanism != NULL ? "that mechanism is not known here"
		                                  : "no mechanism that is known here is offered",
		             s->offered);
	prompt_forget(&typed);
	return code == 235 ? SENT : SEND_AUTH;
}

/*
 * The letter
 */

/* A text, or the file of that name (or behind @). */
static bool
text_or_file(const char *what, struct buffer *out)
{
	struct stat st;

	if (what[0] == '@')
		return command_read(what + 1, out);
	if (strcmp(what, "-") == 0 || (stat(what, &st) == 0 && S_ISREG(st.st_mode)))
		return command_read(what, out);
	for (; *what != '\0'; what++) /* \n as swaks has it */
		if (what[0] == '\\' && what[1] == 'n') {
			buffer_add_char(out, '\n');
			what++;
		} else
			buffer_add_char(out, *what);
	return true;
}

static bool
add_attachment(const char *path, const char *border, struct buffer *out)
{
	struct buffer file = { 0 }, text = { 0 };
	const char   *at = path[0] == '@' ? path + 1 : path;
	const char   *name = strrchr(at, '/') == NULL ? at : strrchr(at, '/') + 1;
	bool          good = command_read(at, &file);

	base64_encode(&text, buffer_bytes(&file));
	buffer_printf(
		out,
		"\n--%s\nContent-Type: application/octet-stream\nContent-Disposition: attachment; "
		"filename=\"",
		border);
	for (; *name != '\0'; name++)
		buffer_add_char(out, *name == '"' || *name == '\\' || *name < ' ' ? '_' : *name);
	buffer_add_string(out, "\"\nContent-Transfer-Encoding: BASE64\n\n");
	for (size_t i = 0; i < text.len; i += 76)
		buffer_printf(out, "%.*s\n", (int)(text.len - i < 76 ? text.len - i : 76),
		              text.at + i);
	buffer_free(&file);
	buffer_free(&text);
	return good;
}

static bool
has_header(const struct sending *s, const char *name)
{
	for (size_t i = 0; i < s->headers; i++)
		if (strncasecmp(s->header[i], name, strlen(name)) == 0)
			return true;
	return false;
}

static bool
compose(const struct sending *s, struct buffer *out)
{
	char date[64], id[17], border[40];
	bool good = true;

	clock_rfc5322(clock_wall(), date, sizeof date);
	random_word(id, sizeof id);
	(void)snprintf(border, sizeof border, "----=_MIME_BOUNDARY_%s", id);
	if (!has_header(s, "Date:"))
		buffer_printf(out, "Date: %s\n", date);
	if (!has_header(s, "To:"))
		buffer_printf(out, "To: %s\n", s->to);
	if (!has_header(s, "From:"))
		buffer_printf(out, "From: %s\n", s->from);
	if (!has_header(s, "Subject:"))
		buffer_printf(out, "Subject: test %s\n", date);
	if (!has_header(s, "Message-Id:"))
		buffer_printf(out, "Message-Id: <%s@%s>\n", id, s->name);
	for (size_t i = 0; i < s->headers; i++)
		buffer_printf(out, "%s\n", s->header[i]);
	if (s->attachments > 0)
		buffer_printf(
			out,
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"%s\"\n\n--%s\n"
			"Content-Type: text/plain\n",
			border, border);
	buffer_add_char(out, '\n');
	good = text_or_file(s->body != NULL ? s->body : "This is a test mailing\n", out);
	for (size_t i = 0; i < s->attachments && good; i++)
		good = add_attachment(s->attach[i], border, out);
	if (s->attachments > 0)
		buffer_printf(out, "\n--%s--\n", border);
	return good;
}

/* rfc5321:4.5.2, lines ended by CRLF. */
static void
say_letter(struct sending *s, struct bytes letter)
{
	struct buffer out = { 0 };
	struct bytes  line;
	const char   *sign = talk_ssl(s->talk) != NULL ? " ~>" : " ->";

	while (bytes_split(&letter, '\n', &line)) {
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0 && letter.len == 0)
			break;
		show_line(sign, line);
		if (line.len > 0 && line.at[0] == '.')
			buffer_add_char(&out, '.');
		buffer_printf(&out, "%.*s\r\n", (int)line.len, line.at);
	}
	show_line(sign, BYTES("."));
	buffer_add_string(&out, ".\r\n");
	(void)talk_say(s->talk, buffer_bytes(&out));
	buffer_free(&out);
}

static bool
stops(const struct sending *s, const char *where)
{
	return s->quit != NULL && strcasecmp(s->quit, where) == 0;
}

static int
give_letter(struct sending *s, int taken, struct bytes letter)
{
	bool lmtp = s->protocol != NULL && strcasecmp(s->protocol, "lmtp") == 0;
	int  good = 0;

	if (command(s, "DATA") != 354)
		return SEND_DATA;
	say_letter(s, letter);
	for (int i = 0; i < (lmtp ? taken : 1); i++) /* rfc2033:4.2 */
		good += hear(s, show_reply) / 100 == 2;
	return good > 0 ? SENT : SEND_LETTER;
}

static int
transact(struct sending *s, struct bytes letter)
{
	struct bytes rest = bytes_of(s->to), one;
	int          taken = 0;

	if (command(s, "MAIL FROM:<%s>", strcmp(s->from, "<>") == 0 ? "" : s->from) / 100 != 2)
		return SEND_MAIL;
	if (stops(s, "mail") || stops(s, "from"))
		return SENT;
	for (int n = 0; n < TO_MOST && bytes_split(&rest, ',', &one); n++) {
		one = bytes_trim(one);
		taken += command(s, "RCPT TO:<%.*s>", (int)one.len, one.at) / 100 == 2;
	}
	if (taken == 0)
		return SEND_RCPT;
	return stops(s, "rcpt") || stops(s, "to") ? SENT : give_letter(s, taken, letter);
}

static int
converse(struct sending *s, struct bytes letter)
{
	int result;

	if (s->tls_first && !secure(s))
		return SEND_TLS;
	if (hear(s, show_reply) != 220)
		return SEND_BANNER;
	if (stops(s, "connect") || stops(s, "banner"))
		return SENT;
	if (hello(s) / 100 != 2)
		return SEND_HELO;
	if (stops(s, "first-helo"))
		return SENT;
	if (s->tls && !s->starttls) {
		(void)printf("*** STARTTLS attempted but not advertised\n");
		return SEND_TLS;
	}
	if (s->tls || (s->tls_optional && s->starttls)) {
		if (command(s, "STARTTLS") != 220 || !secure(s))
			return SEND_TLS;
		if (hello(s) / 100 != 2)
			return SEND_HELO_AGAIN;
	}
	if (stops(s, "helo") || stops(s, "tls"))
		return SENT;
	if (s->auth && (result = log_in(s)) != SENT)
		return result;
	return stops(s, "auth") ? SENT : transact(s, letter);
}

static void
fill_in(struct sending *s)
{
	static char from[600];

	if (s->helo != NULL || gethostname(s->name, sizeof s->name - 1) < 0)
		(void)snprintf(s->name, sizeof s->name, "%s",
		               s->helo != NULL ? s->helo : "localhost");
	(void)snprintf(from, sizeof from, "%.200s@%s", getlogin() != NULL ? getlogin() : "root",
	               s->name);
	if (s->from == NULL)
		s->from = from;
}

/* All options are known: what becomes of the letter. */
static int
send_letter(struct sending *s)
{
	struct buffer letter = { 0 };
	int           result;

	fill_in(s);
	if (!(s->data != NULL ? text_or_file(s->data, &letter) : compose(s, &letter))) {
		buffer_free(&letter);
		return SEND_WRONG;
	}
	(void)printf("=== Trying %s:%d...\n", s->host, s->number);
	s->talk = talk_open(s->host, s->number, PATIENCE_MS);
	if (talk_over(s->talk)) {
		(void)printf("*** Error connecting to %s:%d:\n*** \t%s\n", s->host, s->number,
		             talk_why(s->talk));
		result = SEND_CONNECT;
	} else {
		(void)printf("=== Connected to %s.\n", s->host);
		result = converse(s, buffer_bytes(&letter));
		if (!talk_over(s->talk) && command(s, "QUIT") / 100 != 2 && result == SENT)
			result = SEND_QUIT;
		else if (result == SENT && talk_over(s->talk))
			result = SEND_LOST;
		(void)printf("=== Connection closed with remote host.\n");
	}
	talk_close(&s->talk);
	SSL_CTX_free(s->context);
	buffer_free(&letter);
	ERR_clear_error();
	return result;
}

int
test_send(struct call *c, int argc, char **argv)
{
	struct sending s = { .call = c, .life = arena_open(NULL) };
	int            result = SEND_WRONG;

	if (read_options(&s, argc, argv) == COMMAND_DONE)
		result = send_letter(&s);
	arena_close(&s.life);
	return result;
}
