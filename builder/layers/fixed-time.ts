/**
 * The time of every file that a build puts into an image, so that equal files make equal layers:
 * 1980-01-01, the earliest that a zip archive can say.
 */
export const FIXED_TIME_MS: number = Date.UTC(1980, 0, 1);
