/* trace -- what happened to letters */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "command/command.h"

static int run_trace(struct call *);

const struct command command_trace = {
	.name = "trace",
	.forms = "trace [--since WHEN] [--until WHEN] [--all] [--json] ID|MESSAGE-ID|ADDRESS",
	.about =
		"Tells the whole life of a letter: who brought it and how, what rules said, each try with host, TLS and reply, where it was "
		"delivered, the notices made of it and what became of them; also of a refused one, by the id of its refusal.",
	.more = "The id is that of the queue and the log, or stands at the end of a refusal. An address of sender or recipient may have "
		"many letters, then there is a line for each, the newest first: 20 of them, or with --all each. WHEN is 2h or 3d (so long ago), "
		"2026-11-22, or '2026-11-22 14:30'. With --json each letter is an object on a line of its own: "
		"letter, its id (null: none came of it), and events, a list of objects in their order. The letters stand as in a list, more than 200 of them by their last events. Each of these has time (UTC) and event: accepted, "
		"refused, rule, queued, contact (a host that was tried in vain), attempt, notice, order, removed, discarded, or gap. "
		"Besides, as far as it is known: client, helo, protocol, tls, method and user of a login, message_id, sender, recipient (a list where "
		"event is queued or discarded, or refused at DATA, BDAT or END-OF-MESSAGE), original as it was accepted, relay, status, how (it ended), reply, delays, rule, id (of a refusal), at (which command), mailbox, "
		"service, size, try (how often it was tried), lost (so many events, in a gap), of and notice (ids of the letter and of the notice made of it).\n"
		"\n"
		"What happened is kept for event_lifetime, 30 days.",
	.run = run_trace,
};

/* "2h": so long ago. */
static bool
ago(const char *text, int64_t *us)
{
	static const struct {
		char    unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	char     *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; end != text && n >= 0 && n < 1000000 && i < COUNT(units); i++)
		if (end[0] == units[i].unit && end[1] == '\0') {
			*us = clock_wall_us() - n * units[i].s * 1000000;
			return true;
		}
	return false;
}

static bool
moment(const char *text, int64_t *us)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
		                             "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S" };

	if (*text == '\0')
		return true;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct tm   tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);

		if (end != NULL && *end == '\0') {
			*us = (int64_t)mktime(&tm) * 1000000;
			return true;
		}
	}
	return ago(text, us);
}

static int
run_trace(struct call *c)
{
	const char *since = "", *until = "";
	int64_t     from = 0, to = 0;
	char        from_text[32], to_text[32];
	bool all = command_option(c, "--all", NULL), json = command_option(c, "--json", NULL);

	(void)command_option(c, "--since", &since);
	(void)command_option(c, "--until", &until);
	if (!moment(since, &from) || !moment(until, &to))
		return command_wrong(
			c, "a time is 2h, 3d, 2026-11-22 or '2026-11-22 14:30', and not %s",
			!moment(since, &from) ? since : until);
	if (c->argc > 1 && strcmp(c->argv[1], "--") == 0) {
		c->argc--;
		c->argv++;
	}
	if (c->argc != 2)
		return command_wrong(c, "trace wants one id, message-id or address");
	(void)snprintf(from_text, sizeof from_text, "%" PRId64, from);
	(void)snprintf(to_text, sizeof to_text, "%" PRId64, to);
	const char *argv[] = { "trace", c->argv[1],       from_text,
		               to_text, all ? "yes" : "", json ? "yes" : "" };

	return command_ask(c, "chronicle", COUNT(argv), argv, (struct bytes){ NULL, 0 });
}
