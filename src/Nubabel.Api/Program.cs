using System.CommandLine;
using Nubabel.Api.Commands;

// The web server handles SIGTERM and Ctrl-C by itself and drains; the command line must not cut it short.
return await Verbs.All().Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
