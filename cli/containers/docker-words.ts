/** Commands of docker that are called otherwise here, or do not exist, and what serves in their place. */
const WORDS: Readonly<Record<string, string>> = {
  attach: 'hearth logs -f NAME shows its output; hearth exec -it NAME sh goes inside',
  build: 'hearth deploy FOLDER builds its Dockerfile, pushes the image and starts it',
  commit: 'images are built from Dockerfiles: hearth deploy FOLDER',
  create: 'hearth run -d makes a container and starts it',
  images: 'an image of a function is functions/NAME:gN; hearth describe NAME lists them',
  info: 'hearth doctor tells what this machine offers',
  login: 'the token is in DATA_ROOT/token, or HEARTH_TOKEN',
  port: 'hearth ps shows published ports',
  pull: 'images come from the platform’s registry; docker push them to /v2/ of the gateway',
  push: 'hearth deploy pushes what it builds',
  rename: 'a container keeps its name: run a new one with --name',
  restart: 'a container that has ended does not start again: run a new one',
  rmi: 'images that no function uses are removed by themselves',
  start: 'a container that has ended does not start again: run a new one',
  top: 'hearth exec NAME ps, or hearth stats NAME',
  update: 'limits are given at the start: hearth run --memory, --cpus',
};

/** What one who types a command of docker that Hearth does not have is told. */
export function dockerHint(command: string): string | undefined {
  return Object.hasOwn(WORDS, command) ? WORDS[command] : undefined;
}
