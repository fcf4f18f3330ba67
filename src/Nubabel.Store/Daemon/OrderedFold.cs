using Npgsql;

namespace Nubabel.Store;

/// <summary>What one event has led to.</summary>
internal abstract record FromEvent(string Tenant, long Position);

/// <summary>The work of a projection whose order is its meaning: each event leads to something new, nothing is read for it, and one that fails stops the projection before it.</summary>
internal abstract class OrderedFold<TUnit> : Fold where TUnit : FromEvent
{
    private readonly Projection projection;
    private readonly EventPage page;
    private readonly IReadOnlySet<long> skips;
    private readonly Func<Recorded, string> tenantOf;
    private readonly List<TUnit> made = [];
    private string stoppedTenant = "";

    /// <param name="tenantOf">Whose a failure is.</param>
    protected OrderedFold(Projection projection, EventPage page, IReadOnlySet<long> skips, Func<Recorded, string> tenantOf)
    {
        (this.projection, this.page, this.skips, this.tenantOf) = (projection, page, skips, tenantOf);
        UpTo = page.To;
    }

    public override IReadOnlyList<object> Units => made;

    protected IReadOnlyList<TUnit> All => made;

    public override void AddLoads(NpgsqlBatch batch)
    {
    }

    public override Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct) => Task.CompletedTask;

    public override void Apply()
    {
        foreach (var e in page.Events)
        {
            if (!projection.Wants(e.Event.Type) || skips.Contains(e.Event.Position)) continue;
            // The model is foreign code: whatever it throws stops this projection and nothing else.
#pragma warning disable CA1031
            try
            {
                if (Make(e) is { } unit) made.Add(unit);
            }
            catch (Exception poison)
            {
                StopBefore(tenantOf(e.Event), e.Event.Position, $"{poison.GetType().Name}: {poison.Message}");
                return;
            }
#pragma warning restore CA1031
        }
    }

    /// <summary>What the event leads to; null for nothing.</summary>
    protected abstract TUnit? Make(PageEvent e);

    public override void Take(object unit, int steps, string? error)
    {
        var refused = (FromEvent)unit;
        if (error is not null) StopBefore(refused.Tenant, refused.Position, error);
    }

    public override void AddStop(NpgsqlBatch batch)
    {
        if (StoppedBy is not { } reason) return;
        foreach (var command in Parking.Stop(projection, stoppedTenant, UpTo + 1, reason)) batch.BatchCommands.Add(command);
    }

    private void StopBefore(string tenant, long position, string error)
    {
        stoppedTenant = tenant;
        UpTo = position - 1;
        StoppedBy = $"event {position}: {error}";
    }
}
