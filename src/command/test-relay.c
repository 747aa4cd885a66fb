/* test-relay.c -- whether a server relays for strangers (test-send.h) */
#include "command/test-send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/listener.h"
#include "command/talk.h"
#include "role/interfaces.h"
#include "smtp/receiver/settings.h"

enum { PATIENCE_MS = 15000 };
#define SENDER "relaytest@example.org"

/* What they say in turn: %t the address outside, %l and %o its halves, %d a domain of the server's, %a its address. */
struct probe {
	const char *why, *from, *to;
};
/* clang-format off */
static const struct probe probes[] = {
	{ "a stranger to a stranger",              SENDER,               "%t" },
	{ "the null sender",                       "",                   "%t" },
	{ "a sender without a domain",             "relaytest",          "%t" },
	{ "a forged sender of the server's",       "postmaster@%d",      "%t" },
	{ "an unknown sender of the server's",     "relaytest@%d",       "%t" },
	{ "a sender at localhost",                 "relaytest@localhost", "%t" },
	{ "a sender at the server's address",      "relaytest@[%a]",     "%t" },
	{ "% before the server's domain",          SENDER,               "%l%%o@%d" },
	{ "% before the server's address",         SENDER,               "%l%%o@[%a]" },
	{ "% and no domain",                       SENDER,               "%l%%o" },
	{ "% in quotes",                           SENDER,               "\"%l%%o\"" },
	{ "a quoted address",                      SENDER,               "\"%t\"" },
	{ "a quoted address at the server",        SENDER,               "\"%t\"@%d" },
	{ "two @",                                 SENDER,               "%t@%d" },
	{ "two @, the server's address",           SENDER,               "%t@[%a]" },
	{ "a source route",                        SENDER,               "@%d:%t" },
	{ "a source route by address",             SENDER,               "@[%a]:%t" },
	{ "! before the server's domain",          SENDER,               "%o!%l@%d" },
	{ "! before the server's address",         SENDER,               "%o!%l@[%a]" },
	{ "! and no domain",                       SENDER,               "%o!%l" },
	{ "the server and the other, by !",        SENDER,               "%d!%o!%l" },
	{ "a dot behind the domain",               SENDER,               "%t." },
	{ "% and a forged sender",                 "postmaster@%d",      "%l%%o@%d" },
	{ "a source route and the null sender",    "",                   "@%d:%t" },
};
/* clang-format on */

struct relay {
	char        host[256], domain[256], address[64];
	const char *path; /* a unix socket, NULL: host and port   */
	const char *to;
	int         port;
	bool        quiet; /* of what is refused nothing is said   */
	unsigned    taken, tried;
};

/* A connected socket, or -1 with errno. */
static int
connect_path(const char *path)
{
	struct sockaddr_un at;
	int                directory, fd, why;

	if (listener_path(path, &at, &directory) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
	                fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
		why = errno;
		(void)close(fd);
		fd = -1;
		errno = why;
	}
	if (directory >= 0)
		(void)close(directory);
	return fd;
}

/* Who comes by a unix socket says that it is a proxy, for a stranger whom no network has (rfc5737).  NULL: told why. */
static struct talk *
relay_talk(const struct relay *r)
{
	struct talk *t;
	int          fd;

	if (r->path == NULL)
		return talk_open(r->host, r->port, PATIENCE_MS);
	if ((fd = connect_path(r->path)) < 0) {
		(void)fprintf(stderr, "mansio: %s: %s\n", r->path, strerror(errno));
		return NULL;
	}
	t = talk_take(fd, PATIENCE_MS);
	(void)talk_say(t, BYTES("PROXY TCP4 192.0.2.1 127.0.0.1 40000 25\r\n"));
	return t;
}

static void
fill(const struct relay *r, const char *form, struct buffer *out)
{
	ptrdiff_t   at = bytes_find_last(bytes_of(r->to), '@');
	const char *other = r->to + at + 1;

	for (; *form != '\0'; form++)
		if (form[0] != '%' || form[1] == '%') /* %%o is a percent sign, and %o */
			buffer_add_char(out, *form);
		else
			switch (*++form) {
			case 't': buffer_add_string(out, r->to); break;
			case 'l': buffer_add(out, (struct bytes){ r->to, (size_t)at }); break;
			case 'o': buffer_add_string(out, other); break;
			case 'd': buffer_add_string(out, r->domain); break;
			default: buffer_add_string(out, r->address); break;
			}
}

static void
keep_last(void *ctx, struct bytes line)
{
	struct buffer *b = ctx;

	buffer_reset(b);
	for (size_t i = 0; i < line.len && i < 120; i++)
		buffer_add_char(b, line.at[i] < ' ' || line.at[i] == 127 ? '?' : line.at[i]);
}

static int
command(struct talk *t, struct buffer *last, const char *verb, struct bytes argument,
        const char *end)
{
	struct buffer line = { 0 };
	int           code;

	buffer_printf(&line, "%s%.*s%s\r\n", verb, (int)argument.len, argument.at, end);
	(void)talk_say(t, buffer_bytes(&line));
	buffer_free(&line);
	code = talk_reply(t, keep_last, last);
	return code;
}

/* False: the server cannot be talked to. */
static bool
try_probe(struct relay *r, const struct probe *p)
{
	struct talk  *t = relay_talk(r);
	struct buffer from = { 0 }, to = { 0 }, last = { 0 };
	bool          good = t != NULL && talk_reply(t, keep_last, &last) == 220;
	int           code = 0;

	if (t == NULL)
		return false;
	fill(r, p->from, &from);
	fill(r, p->to, &to);
	if (good)
		code = command(t, &last, "EHLO relaytest.example.org", (struct bytes){ "", 0 }, "");
	if (code / 100 == 2)
		code = command(t, &last, "MAIL FROM:<", buffer_bytes(&from), ">");
	if (code / 100 == 2)
		code = command(t, &last, "RCPT TO:<", buffer_bytes(&to), ">");
	if (good && !talk_over(t)) {
		struct buffer unheard = { 0 };
		(void)command(t, &unheard, "QUIT", (struct bytes){ "", 0 }, "");
		buffer_free(&unheard);
	}
	if (good) {
		r->tried++;
		r->taken += code / 100 == 2;
	}
	if (good && (code / 100 == 2 || !r->quiet))
		(void)printf("%-8s %-38s <%.*s> to <%.*s>: %.*s\n",
		             code / 100 == 2 ? "TAKEN" : "refused", p->why, (int)from.len,
		             from.len > 0 ? from.at : "", (int)to.len, to.at, (int)last.len,
		             last.len > 0 ? last.at : "");
	else if (!good && r->path != NULL)
		(void)printf("%s: %s%.*s\n", r->path, talk_why(t), (int)last.len,
		             last.len > 0 ? last.at : "");
	else if (!good)
		(void)printf("%s:%d: %s%.*s\n", r->host, r->port, talk_why(t), (int)last.len,
		             last.len > 0 ? last.at : "");
	talk_close(&t);
	buffer_free(&from);
	buffer_free(&to);
	buffer_free(&last);
	return good;
}

/*
 * Ourselves
 */

static bool
is_trusted(const struct settings *s, struct setting_list *mynetworks, const struct peer *p)
{
	(void)s;
	for (size_t i = 0; i < mynetworks->count; i++) {
		struct network_item n;
		const char         *wrong;

		if (mynetworks->item[i][0] == '/' ||
		    !network_item_parse(mynetworks->item[i], &n, &wrong) || n.table != NULL)
			return true; /* who knows what is there */
		if (network_holds(&n.net, p) && !n.no)
			return true;
	}
	return false;
}

/* An address of this machine that is a stranger's: what we say to it comes from it. */
static bool
stranger_here(const struct settings *s, struct common_settings *common, char out[static 256])
{
	struct ifaddrs *all = NULL;
	bool            found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
		struct sockaddr_storage ss = { 0 };
		struct peer             p;

		if (i->ifa_addr == NULL ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&ss, i->ifa_addr,
		       i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
		                                         : sizeof(struct sockaddr_in6));
		if (!peer_from(&ss, &p) || is_trusted(s, &common->mynetworks, &p))
			continue;
		(void)snprintf(out, 256, "%s", p.text);
		found = true;
	}
	freeifaddrs(all);
	return found;
}

static int
find_ourselves(struct call *c, struct relay *r)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	char                   host[256];
	int                    result = COMMAND_WRONG;

	if (s == NULL)
		return result;
	if (common.listen[LISTEN_SMTP].count == 0 ||
	    !talk_target(common.listen[LISTEN_SMTP].item[0], host, &r->port))
		(void)fprintf(stderr, "mansio: no letters come in: listen_smtp is empty\n");
	else if (!stranger_here(s, &common, r->host))
		(void)fprintf(
			stderr,
			"mansio: every address of this machine is in mynetworks, and may relay; try it from "
			"another machine: mansio test relay %s:%d\n",
			common.myhostname, r->port);
	else {
		if (strcmp(host, "*") != 0 && strcmp(host, "0.0.0.0") != 0 &&
		    strcmp(host, "::") != 0)
			(void)snprintf(r->host, sizeof r->host, "%s", host);
		(void)snprintf(r->domain, sizeof r->domain, "%s", common.mydomain);
		result = COMMAND_DONE;
	}
	settings_close(&s);
	return result;
}

/* Whoever gives an address, or localhost, has not said what the server's domain is: its greeting begins with its name
   (rfc5321:4.2). */
static void
take_domain(struct relay *r, struct bytes greeting)
{
	unsigned char raw[16];
	struct bytes  name;

	(void)snprintf(r->domain, sizeof r->domain, "%s", r->host);
	if (strchr(r->host, '.') != NULL && inet_pton(AF_INET, r->host, raw) != 1)
		return;
	greeting = bytes_cut(greeting, 4, greeting.len);
	if (bytes_split(&greeting, ' ', &name) && bytes_find(name, '.') > 0 && name.at[0] != '[')
		(void)bytes_string(bytes_cut(name, 0, sizeof r->domain - 1), r->domain,
		                   sizeof r->domain);
}

/* All of them; a command's exit status. */
static int
try_all(struct relay *r)
{
	for (size_t i = 0; i < COUNT(probes); i++)
		if (!try_probe(r, &probes[i]))
			break;
	if (r->tried < COUNT(probes))
		return COMMAND_WRONG;
	(void)printf("%u of %u probes were taken%s\n", r->taken, r->tried,
	             r->taken == 0 ? ": this server does not relay for us" : "");
	return r->taken == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

bool
relay_refused(const char *path, const char *domain)
{
	struct relay r = { .path = path, .quiet = true, .address = "127.0.0.1" };

	r.to = bytes_equal_nocase(bytes_of(domain), BYTES("example.net")) ? "relaytest@example.org"
	                                                                  : "relaytest@example.net";
	(void)snprintf(r.domain, sizeof r.domain, "%s", domain);
	return try_all(&r) == COMMAND_DONE;
}

int
test_relay(struct call *c, int argc, char **argv)
{
	struct relay  r = { .to = "relaytest@example.net", .port = 25 };
	const char   *domain = NULL;
	struct talk  *t;
	struct buffer greeting = { 0 };

	(void)argc, (void)argv;
	(void)command_option(c, "--to", &r.to);
	(void)command_option(c, "--domain", &domain);
	if (c->argc > 3 || bytes_find_last(bytes_of(r.to), '@') < 1)
		return command_wrong(c, "test relay takes one host, and --to an address outside");
	if (c->argc == 3 && strncmp(c->argv[2], "unix:", 5) == 0)
		r.path = c->argv[2] + 5;
	else if (c->argc == 3 && !talk_target(c->argv[2], r.host, &r.port))
		return command_wrong(c, "%s is no host and port", c->argv[2]);
	if (c->argc == 2 && find_ourselves(c, &r) != COMMAND_DONE)
		return COMMAND_WRONG;
	if ((t = relay_talk(&r)) == NULL)
		return COMMAND_WRONG;
	(void)talk_reply(t, keep_last, &greeting);
	if (domain != NULL)
		(void)snprintf(r.domain, sizeof r.domain, "%s", domain);
	else if (r.domain[0] == '\0')
		take_domain(&r, buffer_bytes(&greeting));
	buffer_free(&greeting);
	(void)snprintf(r.address, sizeof r.address, "%s%s",
	               strchr(talk_address(t), ':') != NULL ? "IPv6:" : "",
	               r.path == NULL ? talk_address(t) : "127.0.0.1");
	talk_close(&t);
	return try_all(&r);
}
