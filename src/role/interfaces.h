/*
 * interfaces -- inet_interfaces, inet_protocols and mynetworks_style: which addresses of this machine they mean
 *
 * From:     estate (where to listen), postmaster (whom to trust)
 * Touches:  the kernel's list of interfaces; the resolver for names of hosts
 *
 * interfaces_places()   where a service with this port listens, appended to *out, each with a blank behind it: "*:25", or
 *     "192.0.2.1:25 [2001:db8::1]:25".  Words of inet_interfaces: all, loopback-only, the name of an interface (all of its
 *     addresses), an address, a host's name; inet_protocols leaves out what is not spoken.  A word nothing is
 *     found for is warned of.  False, and a word in *errors, when nothing is left.
 * interfaces_networks() the networks mynetworks stands for when it is not set, appended: of style host every address by
 *     itself, of subnet their networks, of class those of old (class A, B, C).  Loopback is always among them.
 */
#ifndef ROLE_INTERFACES_H
#define ROLE_INTERFACES_H

#include "base/buffer.h"
#include "role/settings.h"

bool interfaces_places(const struct common_settings *, unsigned port, struct buffer *out, struct buffer *errors);
void interfaces_networks(const struct common_settings *, struct buffer *out);

#endif
