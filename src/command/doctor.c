/* doctor -- whether letters can leave this machine: many providers of access let nobody reach port 25 of others */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "command/inquiry.h"
#include "command/records.h"
#include "command/talk.h"
#include "smtp/sender/settings.h"

enum { PATIENCE_MS = 10000, TRIES_MOST = 2, HOSTS_MOST = 2, DOMAINS_MOST = 8, SMTPS = 465 };

static int run_doctor(struct call *);

const struct command command_doctor = {
	.name = "doctor",
	.forms = "doctor [--to DOMAIN,...]",
	.about =
		"Tells whether letters can leave this machine: port 25 of others, the relay host, the name service.",
	.more = "The exchangers of well-known domains, or of those of --to, are connected to at port 25 (smtp_tcp_port), by IPv4 and by IPv6, as far as their "
		"greeting and an EHLO with our name; no letter goes. Where relayhost is set it is that host which must be reached. What hinders a letter "
		"is said, with what to write.\n"
		"\n"
		"Exit status: 0 letters can leave; 1 they cannot; 2 it could not be asked.",
	.run = run_doctor,
};

struct doctor {
	struct call           *call;
	struct common_settings common;
	struct settings       *settings;
	struct sender_settings set;
	struct arena          *life;
	struct inquiry        *ask;
	unsigned               good[2], bad[2]; /* by IPv4, by IPv6 */
	bool                   refused;         /* somebody greets with a no */
};

__attribute__((format(printf, 3, 4))) static void
tell(const char *state, const char *what, const char *form, ...)
{
	va_list list;

	(void)printf("%-8s %-12s ", state, what);
	va_start(list, form);
	(void)vprintf(form, list);
	va_end(list);
	(void)printf("\n");
	(void)fflush(stdout);
}

static void
keep_last(void *ctx, struct bytes line)
{
	struct buffer *b = ctx;

	buffer_reset(b);
	for (size_t i = 0; i < line.len && i < 200; i++)
		buffer_add_char(b, line.at[i] < ' ' || line.at[i] == 127 ? '?' : line.at[i]);
}

/* As far as the answer to EHLO; no letter is begun. */
static bool
try_host(struct doctor *d, const char *name, const char *address, int port)
{
	struct talk  *t = talk_open(address, port, PATIENCE_MS);
	struct buffer last = { 0 };
	int           code = 0;
	bool          six = strchr(address, ':') != NULL, reached = !talk_over(t), good = false;

	if (reached && port == SMTPS)
		good = true; /* TLS comes first: mansio tls check looks at it */
	else if (reached && (code = talk_reply(t, keep_last, &last)) == 220) {
		(void)talk_say(t, bytes_of(arena_printf(d->life, "EHLO %s\r\n",
		                                        d->common.myhostname)));
		code = talk_reply(t, keep_last, &last);
		good = code / 100 == 2;
		(void)talk_say(t, BYTES("QUIT\r\n"));
	}
	if (good)
		tell("right", "outbound", "%s[%s]:%d lets us begin", name, address, port);
	else if (code != 0)
		tell("wrong", "outbound", "%s[%s]:%d says %.*s", name, address, port, (int)last.len,
		     last.at);
	else
		tell("wrong", "outbound", "%s[%s]:%d cannot be reached: %s", name, address, port,
		     talk_why(t));
	d->good[six] += good;
	d->bad[six] += !good;
	d->refused |= !good && code != 0;
	buffer_free(&last);
	talk_close(&t);
	return good;
}

static void
try_name(struct doctor *d, struct bytes name, int port)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA };
	char                  text[INET6_ADDRSTRLEN], shown[256];

	if (!bytes_string(name, shown, sizeof shown))
		return;
	for (size_t i = 0; i < COUNT(types); i++) {
		const struct answer *a = inquiry_ask(d->ask, name, types[i]);
		size_t               tried = 0;

		for (size_t k = 0; k < a->records && tried < TRIES_MOST; k++) {
			const struct answer_record *r = &a->record[k];

			if (r->data.len != (i == 0 ? 4u : 16u) ||
			    inet_ntop(i == 0 ? AF_INET : AF_INET6, r->data.at, text, sizeof text) ==
			            NULL)
				continue;
			tried++;
			if (try_host(d, shown, text, port))
				break;
		}
	}
}

/* False: the name service does not tell. */
static bool
try_domain(struct doctor *d, struct bytes domain, int port)
{
	const struct answer *mx = inquiry_ask(d->ask, domain, DNS_MX);
	size_t               hosts = 0;

	if (mx->status == ANSWER_LATER) {
		tell("unknown", "names", "the exchangers of %.*s cannot be asked for: %s",
		     (int)domain.len, domain.at, mx->why);
		return false;
	}
	if (mx->records == 0)
		try_name(d, domain, port);
	for (size_t i = 0; i < mx->records && hosts < HOSTS_MOST; i++)
		if (!bytes_is(mx->record[i].name, "."))
			try_name(d, mx->record[(hosts++, i)].name, port);
	return true;
}

/* "[host]:port", "host:port", "host" */
static bool
try_relay(struct doctor *d, const char *relay)
{
	struct bytes whole = bytes_of(relay);
	char         host[256];
	int          port = (int)d->set.tcp_port;
	bool         bare = whole.len > 0 && whole.at[0] != '[';
	struct peer  p;

	if (!talk_target(relay, host, &port)) {
		tell("unknown", "relayhost", "%s is no host", relay);
		return false;
	}
	if (bare)
		return try_domain(d, bytes_of(host), port);
	if (peer_parse(bytes_of(host), &p))
		(void)try_host(d, host, host, port);
	else
		try_name(d, bytes_of(host), port);
	return true;
}

static int
judge(struct doctor *d, bool relay)
{
	unsigned good = d->good[0] + d->good[1], bad = d->bad[0] + d->bad[1];

	if (good > 0 && d->bad[1] > 0 && d->good[1] == 0)
		tell("advice", "IPv6",
		     "No host is reached by IPv6: until the network is mended write inet_protocols = ipv4");
	if (good > 0) {
		tell("right", "letters", "They can leave.");
		return COMMAND_DONE;
	}
	if (bad == 0) {
		tell("unknown", "letters", "No host to try was found.");
		return COMMAND_WRONG;
	}
	if (relay)
		tell("wrong", "letters",
		     "The relay host does not take them: look at its name, port and firewall; ports 587 and 465 are rarely blocked");
	else if (d->refused)
		tell("wrong", "letters",
		     "Hosts greet us with a no, as they do addresses that are given to homes: write relayhost = [smtp.provider.example]:587, or ask for a fixed address with a name");
	else
		tell("wrong", "letters",
		     "Nobody is reached at port %lld: the provider blocks it. Ask for it to be opened, or write relayhost = [smtp.provider.example]:587",
		     (long long)d->set.tcp_port);
	return COMMAND_FAILED;
}

static int
examine(struct doctor *d, const char *to)
{
	const char  *relay = settings_value(d->settings, "relayhost");
	struct bytes rest = bytes_of(to != NULL ? to : "gmail.com,outlook.com,qq.com"), domain;
	bool         is_relay = to == NULL && relay != NULL && *relay != '\0', known = false;
	int          n = 0;

	tell(command_runs(&d->common) ? "right" : "advice", "server", "%s",
	     command_runs(&d->common) ? "It runs." : "It does not run: mansio run");
	if (is_relay)
		known = try_relay(d, relay);
	while (!is_relay && n++ < DOMAINS_MOST && bytes_split(&rest, ',', &domain))
		known = (bytes_trim(domain).len > 0 &&
		         try_domain(d, bytes_trim(domain), (int)d->set.tcp_port)) ||
		        known;
	return known ? judge(d, is_relay) : COMMAND_WRONG;
}

static int
run_doctor(struct call *c)
{
	struct doctor d = { .call = c };
	const char   *to = NULL;
	struct buffer errors = { 0 };
	int           status = COMMAND_WRONG;

	(void)command_option(c, "--to", &to);
	if (c->argc != 1)
		return command_wrong(c, "doctor takes nothing but --to");
	if ((d.settings = command_settings(c, &d.common)) == NULL)
		return COMMAND_WRONG;
	d.life = arena_open(NULL);
	if (settings_fill(d.settings, &sender_setting_table, NULL, &d.set, &errors) &&
	    (d.ask = inquiry_open(&d.common, &errors)) != NULL)
		status = examine(&d, to);
	else
		(void)fprintf(stderr, "mansio: %.*s\n", (int)errors.len, errors.at);
	inquiry_close(&d.ask);
	settings_close(&d.settings);
	buffer_free(&errors);
	arena_close(&d.life);
	return status;
}
