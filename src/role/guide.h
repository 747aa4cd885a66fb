/*
 * guide -- tells mail programs by HTTP how to reach this server (Mozilla's autoconfig, Microsoft's autodiscover)
 *
 * From:     postmaster, who starts it when autoconfig is set; command domain client-settings, for the same facts
 * To:       clerk (DOMAIN_ASK: is its mail ours?), certifier (VISIT: who comes to see the answer to a challenge), signer
 * Touches:  its sockets
 *
 * It has no file, no key and no mail, and knows nobody: what it tells of a domain is the same for all of its people.
 *
 * guide_wanted()     whether the role has something to do.
 * guide_check()      what is wrong with its settings, a line each.
 * guide_services()   which listeners mail programs may use: those with TLS that take logins, in the order they are to be tried.
 *                    `shows` says whether one has a certificate to show.
 * guide_name()       the name programs are to ask for, by the certificates one listener shows: `wanted` if one of them has it, else
 *                    the first name there is; false: `wanted` it is, and they will complain.
 *
 * guide-settings.c has these, guide.c the role.
 */
#ifndef ROLE_GUIDE_H
#define ROLE_GUIDE_H

#include "base/setting.h"
#include "guide/client.h"
#include "role/settings.h"

/* What the certificates of https are called among the resources. */
#define GUIDE_LISTENER "autoconfig"

struct guide_settings {
	bool        is_on;
	struct setting_list http_listen, https_listen;
	const char *host;              /* "" by the certificate                  */
};
extern const struct setting_table guide_setting_table;
bool guide_wanted(struct settings *);
bool guide_check(struct settings *, struct buffer *errors, struct buffer *warnings);
void guide_services(struct settings *, const struct common_settings *, bool (*shows)(void *ctx, const char *listener), void *ctx,
                    struct client_facts *out);
/* Chains in PEM, each with its own certificate first, parted as tls_next_chain() parts them. */
bool guide_name(struct bytes chains, const char *wanted, char out[static 256]);

#endif
