/**
 * Every bound of the platform, by name, in one place. Units stand last. What a user may change
 * is a default here and a key of the configuration; the rest are constants of the design.
 */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const LIMITS = {
  // Names and specs
  functionNameLengthMax: 63,
  envTotalBytesMax: 4 * KIB,
  envCountMax: 100,
  labelCountMax: 64,
  labelValueBytesMax: KIB,
  specFileBytesMax: 256 * KIB,
  specProblemsMax: 50,
  memoryBytesMin: 16 * MIB,
  memoryBytesMax: 64 * GIB,
  memoryBytesDefault: 256 * MIB,
  cpuMillisMin: 10,
  cpuMillisMax: 64_000,
  cpuMillisDefault: 1000,
  pidsMin: 1,
  pidsMax: 4096,
  pidsDefault: 128,
  timeoutMsMin: 100,
  timeoutMsMax: 900_000,
  timeoutMsDefault: 30_000,
  startTimeoutMsDefault: 10_000,
  startTimeoutMsMax: 300_000,
  concurrencyMax: 1000,
  concurrencyDefault: 50,
  scaleMax: 1000,
  scaleMaxDefault: 10,
  idleMsDefault: 60_000,
  idleMsMax: 86_400_000,
  graceMsDefault: 10_000,
  graceMsMax: 300_000,
  portDefault: 8080,

  // Uploads and archives
  contextBytesMax: 512 * MIB,
  contextEntriesMax: 200_000,
  layerBytesMax: 2 * GIB,
  imageUnpackedBytesMax: 8 * GIB,
  layerEntriesMax: 200_000,
  layersMax: 127,
  pathBytesMax: 4096,
  pathDepthMax: 256,
  xattrBytesMax: 64 * KIB,
  /** A layer unpacks to this at most, or to so many times its packed size, whichever is more. */
  expansionFreeBytes: 64 * MIB,
  expansionRatioMax: 200,
  layersAtOnceMax: 3,
  dockerfileBytesMax: MIB,
  buildMsMax: 900_000,
  /** A build ends when the builder's disk has less than this. */
  buildFreeBytesMin: 512 * MIB,
  /** And when it has room for fewer new files. */
  buildFreeFilesMin: 10_000,
  buildLayersKeptMax: 500,
  dockerfileInstructionsMax: 1000,
  dockerfileStagesMax: 100,
  dockerfileExpandedBytesMax: 4 * MIB,
  dockerfileValueBytesMax: 64 * KIB,
  manifestBytesMax: 4 * MIB,
  imageConfigBytesMax: MIB,

  // Requests
  jsonBodyBytesMax: MIB,
  requestBodyBytesMax: 1 * GIB,
  headerBytesMax: 32 * KIB,
  waitingPerRevisionMax: 1000,
  queueTimeoutMs: 30_000,
  /** How long a cold request waits for a node when none answers. */
  nodeWaitMs: 10_000,
  /** A caller must have sent its header within this time. */
  headersTimeoutMs: 10_000,
  /** A caller that takes no byte of its answer for so long has gone. */
  stalledReaderMs: 60_000,

  // Logs
  logLineBytesMax: 16 * KIB,
  logFileBytesMax: 10 * MIB,
  logTailLinesDefault: 100,
  logTailLinesMax: 10_000,
  errorLogLines: 20,
  /** Of each of them: errors stand in records, which every daemon keeps in memory. */
  errorLogLineLengthMax: 1_000,

  // Control plane
  storeReadyMs: 500,
  storeCommandMs: 1_500,
  eventStreamLengthMax: 10_000,
  buildLogLengthMax: 20_000,
  /** Output of programs in the events of one build, as JSON; they are kept in Redis. */
  buildLogBytesMax: 8 * MIB,
  buildLogKeepMs: 7 * 24 * 3_600_000,
  eventReadersMax: 256,
  jobKeepMs: 24 * 3_600_000,
  jobsKeptMax: 1_000,
  jobBytesMax: 256 * KIB,
  heartbeatMs: 2_000,
  nodeLostMs: 7_000,
  reconcileMs: 1_000,
  leaseMs: 8_000,
  leaseRenewMs: 1_000,
  demandMs: 250,
  agentInstancesMax: 1_000,
  /** Of one function, newest first; those with traffic or instances are kept besides. */
  revisionsKeptMax: 10,
  buildsKeptMax: 20,

  // Node agent
  /** Of the node's memory, for all instances together. */
  agentMemoryPercent: 80,
  /** Processes that all instances may have together: below the 32,768 that a host has by default. */
  agentPidsMax: 24_000,
  instanceDiskBytes: 512 * MIB,
  instanceOpenFiles: 8_192,
  /** Connections through the firewall at once, of each container. */
  containerConnectionsMax: 4_096,
  /** Packets of each container to name servers. */
  containerDnsPerSecond: 500,
  /** Named networks of one engine. */
  networksMax: 64,
  /** Questions under way for the containers of one network. */
  dnsForwardsMax: 256,
  /** Connections over TCP to one network's name server. */
  dnsStreamsMax: 64,
  /** Of clients on this host, through one published port. */
  relayConnectionsMax: 1_024,
  relayFlowsMax: 1_024,
  logRateBytesPerSecond: MIB,
  logBurstBytes: 8 * MIB,
  /** Of all logs together, not yet written to a slow disk. */
  logWaitingBytesMax: 64 * MIB,
  logFunctionsOpenMax: 2_000,
  /** Since the last line of a function that does not exist any more. */
  logKeepMs: 24 * 3_600_000,
  logSweepMs: 3_600_000,
  logFollowersMax: 256,
  logFollowBytesMax: 4 * MIB,
  /** What happened to containers, kept for readers that come later. */
  agentEventsMax: 1_000,
  /** Of one function, limits that were met; and of so many functions. */
  functionEventsMax: 20,
  functionsWithEventsMax: 500,

  // Containers that users run by hand
  containerEnvBytesMax: 64 * KIB,
  containerArgumentsMax: 1_000,
  containerArgumentBytesMax: 128 * KIB,
  containerPortsMax: 64,
  containerMountsMax: 32,
  /** Of one node. */
  volumesMax: 1_000,
  /** Of the node's disk: no container whose writable layer is there begins with less. */
  diskReserveBytes: GIB,
  /** What of an image goes into a new volume that is mounted over it. */
  volumeFillEntriesMax: 100_000,
  volumeFillBytesMax: GIB,
  /** Programs executed in one container at once, beside its own. */
  containerExecsMax: 64,
  /** Arguments and variables of one of them. */
  execBytesMax: MIB,
  /** Copies into and out of one container at once. */
  containerCopiesMax: 8,
  containerEgressMax: 64,
  containerAliasesMax: 16,
  containerOpenFilesMin: 16,
  containerOpenFilesMax: 1_048_576,
  containerDiskBytesMin: MIB,
  containerDiskBytesMax: 256 * GIB,
  containerInodesMin: 64,
  containerInodesMax: 10_000_000,
  containerShmBytesMin: 4 * KIB,
  containerShmBytesDefault: 64 * MIB,
  containerTmpfsBytesMin: 4 * KIB,
  containerCpuWeightMax: 10_000,
  containerCpuWeightDefault: 100,
  /** Of one stream, kept while no agent reads; the rest is counted. */
  outputSpillBytes: 256 * KIB,
  /** Of those that ended: the oldest go, with their logs. */
  containersEndedMax: 200,
  /** Requests that wait for an end, or read stats: one connection each. */
  containerWatchersMax: 1_000,
} as const;
