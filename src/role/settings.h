/*
 * settings -- what the whole house has in common, and every row there is
 *
 * From:     postmaster, house, command config and the manual pages
 *
 * house_settings_read()  reads a main.cf as settings_read() does and makes it
 *     whole: myhostname and mydomain are found out when the file is silent, and
 *     every table of the house is known.  NULL when there were errors.
 * house_settings_check() fills every table, also for each listener that has
 *     settings of its own, and looks at what rows cannot know (files, owners,
 *     listeners that nobody has).  False with complaints in *errors.
 *
 * house_settings_origin() the first word of the file myorigin names (/etc/mailname, as Debian
 *     has it), as a line of settings behind *text; nothing when it names a domain.  The postmaster
 *     does so, for roles see no files.  house_settings_check() complains of what cannot be read.
 *
 * Fails:    in words, "main.cf:12: ...", one line each.
 */
#ifndef ROLE_SETTINGS_H
#define ROLE_SETTINGS_H

#include "base/setting.h"

enum listener_service {
	LISTEN_SMTP, LISTEN_SUBMISSION, LISTEN_SUBMISSIONS, LISTEN_LMTP,
	LISTEN_IMAP, LISTEN_IMAPS, LISTEN_POP3, LISTEN_POP3S, LISTEN_SERVICES
};
/* "smtp" ... : the row is listen_smtp, the resource listener/smtp, and
   smtp/NAME = VALUE holds for it alone. */
extern const char *const listener_names[LISTEN_SERVICES];

enum networks_style { NETWORKS_HOST, NETWORKS_SUBNET, NETWORKS_CLASS };
enum log_format { LOG_TEXT, LOG_JSON };
enum dns_validation { VALIDATE_AUTO, VALIDATE_YES, VALIDATE_NO };

struct common_settings {
	const char *myhostname, *mydomain, *myorigin;
	bool        append_dot_mydomain;
	struct setting_list mynetworks;
	struct setting_list inet_interfaces, inet_protocols;
	int         mynetworks_style;  /* enum networks_style                      */
	const char *mail_directory;    /* absolute, no slash at the end            */
	const char *mail_owner;
	const char *mail_name, *mail_version;
	const char *mail_location, *mail_home, *virtual_mailbox_base;
	struct setting_list mail_location_directories, forward_path;
	const char *mail_spool_directory, *home_mailbox, *mail_privileged_group;
	const char *mail_uid, *mail_gid;
	int64_t     first_valid_uid, virtual_minimum_uid, user_keepers_most, owner_keepers_most;
	int64_t     role_account_base; /* first uid where there are no accounts    */
	const char *maillog_file;      /* "" syslog                                */
	const char *syslog_name;
	int         log_format;        /* enum log_format                          */
	bool        event_store;       /* what happens to letters is kept         */
	struct setting_list auth_backends;
	const char         *auth_master_passwd_file;
	struct setting_list protocols; /* of LMTP and the readers': or "none"      */
	struct setting_list listen[LISTEN_SERVICES];
	struct setting_list auth_socket;
	const char *auth_socket_mode, *auth_socket_owner, *auth_socket_group;
	int64_t     receiver_processes, login_processes;    /* 0: by cores         */
	int64_t     verifier_processes, keeper_processes, sender_processes;
	struct setting_list socket_directories;    /* where senders find unix sockets */
	bool        mailbox_sharing;
	int64_t     spool_segment_size;
	int64_t     queue_minfree;     /* bytes that stay free                     */
	const char *dns_resolver;      /* "" as /etc/resolv.conf says, "none"      */
	int64_t     dns_timeout;       /* ms                                       */
	const char *dns_trust_anchor_file;
	struct setting_list dns_check_lists;
	int         dns_validation;    /* enum dns_validation                      */
	const char *default_database_type;
	struct setting_list alias_database;
};
extern const struct setting_table common_setting_table;

/* Who may connect to a unix socket; UINT32_MAX: as it is.  False: one of the words is wrong. */
struct socket_rights { uint32_t mode, owner, group; };
bool socket_rights_read(const char *mode, const char *owner, const char *group, struct socket_rights *);
bool auth_socket_rights(const struct common_settings *, struct socket_rights *);

/* Whether a service is among the protocols that are spoken; SMTP and submission always are. */
bool house_speaks(const struct common_settings *, enum listener_service);
/* What stands in `protocols` for it; NULL: it is always spoken. */
const char *house_protocol(enum listener_service);

/* Whether a back end of credentials is PAM. */
bool house_needs_pam(const struct common_settings *);

/* Every table of every room: NULL at the end. */
const struct setting_table *house_setting_table(size_t index);
const struct setting *house_setting_row(const char *name);    /* of any table; NULL: there is none of that name */

/* Whether the file gives it a value that is not empty. */
bool house_is_set(const struct settings *, const char *name);
struct settings *house_settings_read(struct bytes text, const char *file,
                                     struct buffer *errors, struct buffer *warnings);
void house_settings_origin(struct settings *, struct buffer *text);
/* The first word of such a file; false with errno, 0 when there is none. */
bool house_origin_read(const char *path, struct buffer *out);
bool house_settings_check(struct settings *, const char *file, struct buffer *errors, struct buffer *warnings);

#endif
