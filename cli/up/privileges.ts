/** Whom a process runs as. */
export interface User {
  uid: number;
  gid: number;
}

export const ROOT: User = { uid: 0, gid: 0 };

/** Components that need nothing of root. */
export const UNPRIVILEGED = ['redis', 'scheduler', 'gateway'] as const;

export type Unprivileged = (typeof UNPRIVILEGED)[number];

/**
 * The group that may use Redis and the instances' sockets. 65520 to 65533 are ids that nobody else
 * has: systemd leaves them unused (UIDS-GIDS.md), Debian reserves them (policy 9.2.2), and those of
 * containers begin above 65535.
 */
export const SOCKETS_GROUP = 65_520;

/** A user each, as processes of one user may read each other's memory, environment and files. */
export const USERS: Readonly<Record<Unprivileged, User>> = {
  redis: { uid: 65_521, gid: SOCKETS_GROUP },
  scheduler: { uid: 65_522, gid: SOCKETS_GROUP },
  gateway: { uid: 65_523, gid: SOCKETS_GROUP },
};

/** What was found on this machine. */
export interface PrivilegeFacts {
  isRoot: boolean;
  /** Path of setpriv(1). */
  setpriv: string | undefined;
  /** What a component must reach and its user cannot, such as `/root (mode 700)`. */
  closed: Partial<Record<Unprivileged, string>>;
  /** The gateway's port, and the first one that needs no privilege (ip_unprivileged_port_start). */
  port: number;
  freePortMin: number;
}

/** How one component is started. */
export interface Privilege {
  /** Absent: that of the supervisor. */
  user?: User;
  /** What to put before the command; may be empty. */
  prefix: readonly string[];
}

export interface Privileges {
  of: Record<Unprivileged, Privilege>;
  /** What is less safe than it could be, and why; one line each. */
  warnings: string[];
}

/**
 * Under root each component of `UNPRIVILEGED` gets a user of its own. One that could not work then
 * stays root, which is said: a platform in a private home directory is better than none.
 */
export function decidePrivileges(facts: PrivilegeFacts): Privileges {
  const why = (name: Unprivileged): string | undefined =>
    facts.setpriv === undefined ? 'setpriv (util-linux) is not installed' : facts.closed[name];
  const decide = (name: Unprivileged): Privilege => {
    const isOwn = facts.isRoot && why(name) === undefined;
    const user = isOwn ? USERS[name] : undefined;
    return { ...(user === undefined ? {} : { user }), prefix: prefixOf(name, user, facts) };
  };
  return {
    of: { redis: decide('redis'), scheduler: decide('scheduler'), gateway: decide('gateway') },
    warnings: facts.isRoot ? warningsOf(why) : [],
  };
}

/** Components that stay root for the same reason share a line. */
function warningsOf(why: (name: Unprivileged) => string | undefined): string[] {
  const reasons = new Map<string, Unprivileged[]>();
  for (const name of UNPRIVILEGED) {
    const reason = why(name);
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  return [...reasons].map(
    ([reason, names]) => `warning: ${names.join(', ')} must run as root, as ${reason}`,
  );
}

/** setpriv(1): no group, no capability and no way to get one, but for a gateway's low port. */
function prefixOf(name: Unprivileged, user: User | undefined, facts: PrivilegeFacts): string[] {
  if (facts.setpriv === undefined) return [];
  // Redis has no IPC channel by which to notice that the supervisor is gone
  const death = name === 'redis' ? ['--pdeathsig', 'TERM'] : [];
  const drop = user === undefined ? [] : dropTo(user, name === 'gateway' && isLowPort(facts));
  const flags = [...drop, ...death];
  return flags.length === 0 ? [] : [facts.setpriv, ...flags, '--'];
}

function isLowPort({ port, freePortMin }: PrivilegeFacts): boolean {
  return port > 0 && port < freePortMin;
}

function dropTo(user: User, bindsLowPort: boolean): string[] {
  const kept = bindsLowPort ? ',+net_bind_service' : '';
  return [
    ...['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups', '--no-new-privs'],
    ...['--bounding-set', `-all${kept}`, '--inh-caps', `-all${kept}`],
    ...(bindsLowPort ? ['--ambient-caps', '+net_bind_service'] : []),
  ];
}
