/*
 * sasl-settings -- what an administrator may say about mechanisms (sasl/), and what is wrong with it
 *
 * sasl_settings_wrong()  says in words what cannot work, and in *setting where: a mechanism that is not known, or
 *     that nothing here can verify.  NULL: all is well.
 * sasl_standard()  what is offered where sasl_mechanisms is not set, if that is not what its row says: some back end cannot
 *     verify SCRAM for all of its users, and a client that would choose it could not log in.  NULL: as the row says.
 * sasl_check_users()  (sasl-check.c) whom of a back end's the mechanisms would not let in: all of a file's is an error, some, or
 *     where it cannot be told before, is warned of.  `users` NULL: it is not a file.
 */
#ifndef ROLE_SASL_SETTINGS_H
#define ROLE_SASL_SETTINGS_H

#include "base/arena.h"
#include "base/setting.h"
#include "directory/credential.h"
#include "directory/passwdfile.h"
#include "sasl/sasl.h"

struct sasl_settings {
	struct setting_list mechanisms;
	const char *anonymous;                         /* "" nobody */
	const char *keytab;
	struct setting_list realms;                    /* EXAMPLE.COM=example.com */
	struct setting_list certificates;              /* external_login_maps */
	const char *issuer, *jwks_file, *claim, *configuration;
	struct setting_list audiences, scopes;
	struct setting_list tokens;                    /* oauth_token_maps */
};
extern const struct setting_table sasl_setting_table;

const char *sasl_standard(struct settings *);
/* Whether "auto" is among sasl_mechanisms. */
bool sasl_is_auto(struct settings *);
/* MUTE, as a front hears it. */
bool hear_mute(struct bytes body);
const char *sasl_settings_wrong(struct settings *, struct arena *, const char **setting);
void sasl_check_users(const struct setting_list *mechanisms, const struct credential_backend *, const struct passwdfile *users, struct buffer *errors,
                      struct buffer *warnings);

#endif
