/*
 * route -- which hosts take the mail for a destination, in which order they are tried (rfc5321:5.1)
 *
 * From:     role/sender
 * Touches:  nothing; answers of the name service come through `ask`
 *
 * A destination is what transport_maps, relayhost and the domain of a recipient say:
 *     example.com         its MX hosts; itself where it has none
 *     example.com:2525    the same, another port
 *     [mail.example.com]  that host, without MX; [192.0.2.1], [2001:db8::1], [IPv6:2001:db8::1] an address; :PORT behind it
 *     several of these, by commas or blanks: one after another
 *     inet:HOST:PORT      of LMTP, which knows no MX
 *
 * route_find() is a pure function of the request and of the answers so far: ROUTE_WAIT when `ask` had none yet for some
 *     question (all that are known to be needed have been asked then); it is called again when there is one more.
 *     ROUTE_FOUND with at least one host; ROUTE_LATER and ROUTE_NEVER with status and words.
 *
 * Of a destination's exchangers the ROUTE_NAMES_MOST best are looked up.
 * Order: by preference, by chance inside one (rfc5321:5.1), IPv6 and IPv4 as `preference` says; of more addresses of a
 * destination than `address_most` the first, with `balance` both families among them. Hosts that are ourselves, and those no better than these, are
 * left out (rfc5321:5.1); when none remains of a destination the mail would come back to us, and what is named
 * behind it, and the fallback, would only lead it round.
 * An address that means nobody (0.0.0.0, ::, many at once) is none, nor is one of `forbidden`; 127.0.0.1 or
 * ::1 at port 25 that stands in the DNS is ourselves.
 * A null MX (rfc7505) takes no mail. An answer that has been found with no record in it is one that nothing was left of
 * (smtp_dns_reply_filter): mail waits for it.
 *
 * route_is_list()     whether a text names destinations so; where not, *wrong is the part that is none.
 * route_is_nowhere()  an address that means nobody, or is one of `forbidden`.
 * route_is_inside()   one of this machine's loopback or of its link: no web server of the world is there.
 */
#ifndef SMTP_SENDER_ROUTE_H
#define SMTP_SENDER_ROUTE_H

#include "base/setting.h"
#include "channel/peer.h"
#include "dns/answer.h"

enum { ROUTE_HOSTS_MOST = 100, ROUTE_HOSTS_EACH = 50, ROUTE_NAMES_MOST = 50 };
enum route_preference { PREFER_ANY, PREFER_IPV6, PREFER_IPV4 };
struct route_request {
	const char  *nexthop;
	uint16_t     port, smtp_port;          /* where it says none; where being ourselves means a loop */
	bool         lmtp, dns, native, v4, v6;
	int          preference;               /* enum route_preference              */
	size_t       address_most;             /* 0: all                             */
	bool         balance;                  /* both families among them          */
	bool         in_order;                 /* and not by chance                 */
	struct setting_list forbidden;         /* networks                          */
	bool         no_mx_later, ignore_mx_error;
	struct bytes hosts;                    /* the text of hosts(5)               */
	const char  *myhostname;
	struct bytes own;                      /* our addresses, by blanks           */
	struct setting_list own_more, fallback; /* proxy_interfaces; smtp_fallback_relay */
	bool         by_alias;                 /* a host goes by what its name is an alias of */
	bool         is_last;                  /* we may be the best host for a name: it is no error */
	/* The answer, NULL while there is none.  Good until route_find() returns. */
	const struct answer *(*ask)(void *ctx, struct bytes name, uint16_t type);
	void *ctx;
};
struct route_host {
	const char  *name;                     /* "mx.example.com", or the address; with by_alias behind all aliases */
	const char  *asked;                    /* the same, as it was asked for      */
	struct peer  peer;                     /* its port too                       */
	uint32_t     preference;
	uint64_t     chance;
	bool         named, bracketed;         /* by an MX record; by a destination in brackets, or an address */
	bool         believed;                 /* that record is proved, or we were told the host itself */
	const char  *domain;                   /* whose host it is: of a destination without MX itself */
	uint32_t     destination;              /* of those that were named, and then the fallback: the how manieth */
};
enum route_outcome { ROUTE_FOUND, ROUTE_WAIT, ROUTE_LATER, ROUTE_NEVER };
struct route {
	struct route_host *host;
	size_t      hosts;
	const char *status, *why;
	bool        loops;             /* ROUTE_NEVER: the best host is ourselves */
	bool        absent;            /* ROUTE_NEVER: the DNS has neither MX nor address for the name */
	const char *no_fallback;       /* why nothing of the fallback is to be found; NULL: it is, or there is none */
};
bool route_is_list(struct bytes text, struct bytes *wrong);
bool route_is_nowhere(const struct setting_list *forbidden, const struct peer *);
bool route_is_inside(const struct peer *);
enum route_outcome route_find(const struct route_request *, struct arena *, struct route *);

#endif
