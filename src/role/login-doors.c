#include "role/login-doors.h"

#include "base/arena.h"
#include "role/house.h"
#include "role/settings.h"
#include "role/tls.h"

#include <string.h>

/* clang-format off */
static const struct {
	enum listener_service service;
	const struct login_protocol *protocol;
	bool tls_first, imap;
} kinds[] = {
	{ LISTEN_IMAP,  &login_imap, false, true  },
	{ LISTEN_IMAPS, &login_imap, true,  true  },
	{ LISTEN_POP3,  &login_pop3, false, false },
	{ LISTEN_POP3S, &login_pop3, true,  false },
};
/* clang-format on */

static struct door *
door_of(struct house *h, struct door **doors, const char *name, int fd, size_t kind)
{
	struct door *d;

	for (d = *doors; d != NULL; d = d->next)
		if (d->fd == fd && strcmp(d->name, name) == 0)
			return d;
	d = memory_take(sizeof *d);
	*d = (struct door){ .house = h,
		            .fd = fd,
		            .protocol = kinds[kind].protocol,
		            .tls_first = kinds[kind].tls_first,
		            .next = *doors };
	(void)bytes_string(bytes_of(name), d->name, sizeof d->name);
	*doors = d;
	return d;
}

/* When no certificate works any more, what was in force stays. */
static void
set_tls(struct door *d, const char *what)
{
	const struct tls_wish wish = {
		.listener = d->name,
		.mandatory = d->tls_first || d->config.rows.ssl == LOGIN_SSL_REQUIRED,
		.session_id = what,
		.alpn = what,
		.handshake_ms = d->config.rows.timeout_ms,
	};
	struct tls *new = house_tls(d->house, &wish);

	if (new == NULL && d->config.tls != NULL &&house_tls_is_set(d->house, d->name))
		return;
	tls_close(&d->config.tls);
	d->config.tls = new;
}

void
login_doors_set(struct house *h, struct door **doors, struct proxylines *proxylines)
{
	const char *name;
	size_t      place = 0;
	int         fd;

	for (struct door *d = *doors; d != NULL; d = d->next)
		d->seen = false;
	while (house_resource_next(h, "listener/", &place, &name, &fd)) {
		const char *service = name + strlen("listener/");
		size_t      which = listener_place(&h->listeners, bytes_of(service));

		for (size_t i = 0; which < h->listeners.count && i < COUNT(kinds); i++) {
			struct common_settings common;
			struct door           *d;

			if (h->listeners.one[which].service != kinds[i].service)
				continue;
			d = door_of(h, doors, service, fd, i);
			d->seen = true;
			(void)house_settings(h, &login_setting_table, service, &d->config.rows);
			(void)house_settings(h, &pop3_setting_table, service, &d->pop3);
			d->config.pop3 = &d->pop3;
			d->config.syslog_name =
				house_settings(h, &common_setting_table, service, &common)
					? common.syslog_name
					: h->common.syslog_name;
			set_tls(d, kinds[i].imap ? "imap" : "pop3");
		}
	}
	for (struct door *d = *doors; d != NULL; d = d->next)
		if (!d->seen) {
			/* the door's settings may still be in use inside */
			listener_close(&d->listener);
			proxylines_forget(proxylines, d);
		}
}
