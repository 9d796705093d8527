/** A network of its own, whose containers reach each other, by name too. */
export interface NetworkInfo {
  name: string;
  /** CIDR. */
  subnet: string;
  /** The bridge's address, where the network's name server is. */
  gateway: string;
  /** Without a way out of the network. */
  internal: boolean;
  labels: Readonly<Record<string, string>>;
  createdAtMs: number;
  /** Those on it now; `name` is the hostname. */
  containers: readonly { id: string; name: string; address: string }[];
}

/** What a new network shall be. */
export interface NetworkRequest {
  /** `[a-z0-9][a-z0-9-]{0,62}`; not `none`, `bridge` or `host`. */
  name: string;
  /** Private network as CIDR, /16 to /28; absent: a free part of the engine's. */
  subnet?: string;
  internal?: boolean;
  labels?: Readonly<Record<string, string>>;
}

/** Named networks of an engine. They outlive its process. */
export interface Networks {
  /** @throws HearthError BadRequest, Conflict (name or subnet taken), NodeFull (no free subnet) */
  create(request: NetworkRequest): Promise<NetworkInfo>;
  /** By name. */
  list(): NetworkInfo[];
  get(name: string): NetworkInfo | undefined;
  /** @throws HearthError NotFound; Conflict while containers are on it */
  remove(name: string): Promise<void>;
}
