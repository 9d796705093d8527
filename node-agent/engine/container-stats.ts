export type { ContainerStats } from '../../lib/container-api.ts';
