/** Prints the page that the server sends; runs while the image is built. */
const [title = 'untitled'] = process.argv.slice(2);
const escaped = title.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
console.log(`<!doctype html><title>${escaped}</title><h1>${escaped}</h1>`);
console.log(`<p>Made by Node ${process.version} in a RUN step.</p>`);
