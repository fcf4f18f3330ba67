using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Jobs;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Jobs;

/// <summary>What a test's job is told.</summary>
/// <param name="Name">Finds the test's own <see cref="Work"/>.</param>
public sealed record WorkBody(string Name);

/// <summary>A job as a test drives it: what its handler does, how often it was called and where.</summary>
internal sealed class Work
{
    private static readonly ConcurrentDictionary<string, Work> Known = new();

    private Work(Func<JobContext, int, Task<JobEnd>> handle) => Handle = handle;

    public string Name { get; } = Guid.NewGuid().ToString("N");

    /// <summary>The servers that ran it, one for each call.</summary>
    public ConcurrentQueue<string> Ran { get; } = new();

    public WorkBody Body => new(Name);
    private Func<JobContext, int, Task<JobEnd>> Handle { get; }

    /// <param name="handle">Given the context and the number of the call.</param>
    public static Work Of(Func<JobContext, int, Task<JobEnd>> handle)
    {
        var work = new Work(handle);
        Known[work.Name] = work;
        return work;
    }

    public static JobDefinition<WorkBody> Kind { get; } = new("work", "devices:write");
    public static JobDefinition<WorkBody> LongKind { get; } = new("long-work", "flags:read") { IsLong = true };
    public static JobDefinition<WorkBody> OperatorKind { get; } = new("operators-work", "platform:jobs-write");

    /// <summary>A server with these kinds of jobs, and routes that start them.</summary>
    public static Task<TestApi> Server(TestDatabase database, string name, TimeProvider? time = null)
    {
        return TestApi.Start(
            database,
            build: builder => builder.Services.AddSingleton(new JobHandlers().On(Kind, Run).On(LongKind, Run).On(OperatorKind, Run)),
            time: time,
            map: app =>
            {
                app.MapPost("/api/work", (Body<WorkBody> body, JobStarts jobs, CancellationToken ct) => jobs.Start(Kind, body.Value, ct)).Starts(Kind);
                app.MapPost("/api/long-work", (Body<WorkBody> body, JobStarts jobs, CancellationToken ct) => jobs.Start(LongKind, body.Value, ct)).Starts(LongKind);
                app.MapPost("/api/admin/work", (Body<WorkBody> body, JobStarts jobs, CancellationToken ct) => jobs.Start(OperatorKind, body.Value, ct)).Starts(OperatorKind);
            });

        async Task<JobEnd> Run(WorkBody body, JobContext context)
        {
            var work = Known[body.Name];
            work.Ran.Enqueue(name);
            return await work.Handle(context, work.Ran.Count);
        }
    }
}
