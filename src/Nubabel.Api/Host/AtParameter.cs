using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Http.Metadata;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// Time travel: <c>?at=</c> on the read of a single resource, which is then shown as its stream was at a time or a position of the log. It reads the same stream
/// as the read without it, so it reaches no other tenant; what has been erased since stays erased, since its key is gone.
/// </summary>
public sealed class At : IEndpointParameterMetadataProvider
{
    public const string Name = "at";

    /// <summary>What a client is told of the parameter.</summary>
    public const string Meaning = "Shows the resource as it was: an RFC 3339 time (with an offset; `+` is written `%2B`), or a position as `Nubabel-Position` gives it. What lies ahead means now.";

    private At(Until? until) => Until = until;

    /// <summary>How far streams are read; null where the request asks for the present.</summary>
    public Until? Until { get; }

    public static ValueTask<At?> BindAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var values = context.Request.Query[Name];
        if (values.Count == 0) return ValueTask.FromResult<At?>(new At(null));
        var shard = context.RequestServices.GetRequiredService<Node>().Database.Shard;
        return values is [{ } text] && TryParse(text, shard, out var until)
            ? ValueTask.FromResult<At?>(new At(until))
            : throw Problem.At(Name, "query.invalid", "It is an RFC 3339 time with an offset, as in 2026-01-31T12:00:00Z, or a position that this server has given out.");
    }

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Metadata.Add(new AtMetadata());
        builder.Metadata.Add(new QueryNames([Name]));
    }

    /// <summary>A time, a position as clients see it, or a plain number of the log.</summary>
    public static bool TryParse(string text, string shard, out Until until)
    {
        until = default;
        if (StrictTimes.TryParse(text, out var time)) until = new Until(At: time);
        else if (Positions.TryParse(text, shard, out var position) || long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out position)) until = new Until(Position: position);
        else return false;
        return true;
    }

    /// <summary>The stream as far as it is asked for.</summary>
    public async ValueTask<Outcome<T>> Of<T>(Outcome<T> now, CancellationToken ct) where T : IAggregate<T>
    {
        ArgumentNullException.ThrowIfNull(now);
        return Until is { } until ? await now.AsOf(until, ct) : now;
    }

    /// <summary>
    /// The clock by which the resource is shown: what runs out by itself had not run out yet. A position has no time of its own, so there it is that of the
    /// stream's last event.
    /// </summary>
    public DateTimeOffset Moment<T>(Outcome<T> shown, TimeProvider time) where T : IAggregate<T>
    {
        ArgumentNullException.ThrowIfNull(shown);
        ArgumentNullException.ThrowIfNull(time);
        var now = time.GetUtcNow();
        return Until switch
        {
            { At: { } at } => at < now ? at : now,
            { Position: not null } when shown.Version > 0 => shown.At,
            _ => now,
        };
    }
}

/// <summary>The endpoint takes <c>?at=</c>.</summary>
public sealed record AtMetadata;
