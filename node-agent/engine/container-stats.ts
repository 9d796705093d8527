/** What a container uses, from its cgroups and its link; counters begin at its start. */
export interface ContainerStats {
  timeMs: number;
  cpu: {
    /** Nanoseconds of cpu time. */
    usageNs: number;
    userNs: number;
    systemNs: number;
    /** Periods in which it was held back by its limit, and for how long together. */
    throttledPeriods: number;
    throttledNs: number;
    limitMillis: number;
  };
  memory: {
    currentBytes: number;
    /** 0 where the kernel does not keep it. */
    peakBytes: number;
    limitBytes: number;
    /** Page cache that goes first when memory is short. */
    inactiveFileBytes: number;
    oomKills: number;
  };
  pids: { current: number; limit: number };
  /** Absent without a network. */
  network?: {
    receivedBytes: number;
    sentBytes: number;
    receivedPackets: number;
    sentPackets: number;
  };
}
