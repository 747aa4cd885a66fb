/*
 * queue-log -- the lines of the log that say what became of a recipient
 *
 * Services are named as Postfix names them: pflogsumm reads the totals of a day from these names.
 */
#include "base/clock.h"
#include "message/envelope.h"
#include "role/queue.h"
#include <stdio.h>
#include <string.h>

char queue_services[SERVICES][64];

void
queue_services_name(const char *syslog_name)
{
	static const char *const names[SERVICES] = { "qmgr", "virtual", "local", "smtp", "bounce" };

	for (size_t i = 0; i < SERVICES; i++)
		(void)snprintf(queue_services[i], sizeof queue_services[i], "%s/%s", syslog_name,
		               names[i]);
}

/* Seconds as Postfix logs them: two digits that count, none beyond the hundredths, and never an exponent. */
struct delay {
	char text[24];
};

static struct delay
delay_of(int64_t us)
{
	struct delay d;
	double       s = us > 0 ? (double)us / 1e6 : 0.0;
	char        *end;

	(void)snprintf(d.text, sizeof d.text, "%.*f", s < 0.995 ? 2 : s < 9.95 ? 1 : 0, s);
	if (strchr(d.text, '.') == NULL)
		return d;
	for (end = d.text + strlen(d.text); end[-1] == '0'; end--)
		end[-1] = '\0';
	if (end[-1] == '.')
		end[-1] = '\0';
	return d;
}

static enum queue_service
service_of(const struct recipient *r)
{
	return r->account == 0                 ? SERVICE_SMTP
	       : is_system_account(r->account) ? SERVICE_LOCAL
	                                       : SERVICE_VIRTUAL;
}

/* Who had it in hand; of a host that could not be reached the reason speaks alone, as in Postfix. */
static const char *
relay_of(const struct recipient *r, const struct queue_attempt *by)
{
	static const char *const relays[SERVICES] = {
		[SERVICE_VIRTUAL] = "virtual", [SERVICE_LOCAL] = "local", [SERVICE_SMTP] = "none"
	};

	if (by == NULL)
		return relays[service_of(r)];
	return bytes_starts(bytes_of(r->text), BYTES("connect to ")) ? "none" : by->relay;
}

void
queue_note(const struct recipient *r, const char *how, const struct queue_attempt *by)
{
	const struct letter *l = r->letter;
	int64_t              now = clock_wall_us(), begun = r->begun_us != 0 ? r->begun_us : now;
	int64_t              heard = r->tries > 1 ? begun : l->heard_us;
	int64_t              said = by != NULL && by->said_us != 0 ? by->said_us : begun;
	bool                 aliased = strcmp(r->original, r->address) != 0;
	struct bytes         tls = bytes_of(by != NULL && by->tls != NULL ? by->tls : ""),
		     level = { "", 0 };
	char id[24];

	letter_id_text(l->id, id);
	(void)bytes_split(&tls, ' ', &level);
	note_as(by != NULL ? by->service : queue_services[service_of(r)],
	        "%s: to=<%s>, %s%s%srelay=%s, delay=%s, delays=%s/%s/%s/%s, dsn=%s, status=%s (%s)%s%.*s",
	        id, r->address, aliased ? "orig_to=<" : "", aliased ? r->original : "",
	        aliased ? ">, " : "", relay_of(r, by), delay_of(now - l->arrived_us).text,
	        delay_of(heard - l->arrived_us).text, delay_of(said - heard).text,
	        delay_of(by != NULL ? (int64_t)by->connect_us : 0).text,
	        delay_of(by != NULL ? (int64_t)by->transfer_us : now - begun).text, r->status, how,
	        r->text, level.len > 0 ? " tls=" : "", (int)level.len, level.at);
}
