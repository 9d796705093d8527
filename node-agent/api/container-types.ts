export type * from '../../lib/container-api.ts';
