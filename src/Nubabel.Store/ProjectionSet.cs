namespace Nubabel.Store;

/// <summary>The read models of the product, named one by one; the daemon, the migration and the rebuild work on this list.</summary>
public sealed class ProjectionSet(EventTypes types)
{
    private readonly List<Projection> all = [];

    /// <summary>The types that the projections read.</summary>
    public EventTypes Types { get; } = types;

    public IReadOnlyList<Projection> All => all;

    /// <param name="platform">Its rows belong to the platform tenant, whatever the tenant of the event.</param>
    public ProjectionSet Documents<TModel, TRow>(bool platform = false) where TModel : IDocument<TRow> where TRow : class =>
        Add(new DocumentProjection<TModel, TRow>(platform, Types.Json));

    /// <param name="platform">Its rows belong to the platform tenant, whatever the tenant of the event.</param>
    public ProjectionSet Rows<TModel, TRow>(bool platform = false) where TModel : IRows<TRow> where TRow : class =>
        Add(new RowProjection<TModel, TRow>(platform, Types.Json));

    /// <summary>These and reactions, for the daemon: they have no tables, so the migration and the rebuild go by the set without them.</summary>
    public ProjectionSet With(params IEnumerable<Projection> reactions)
    {
        var both = new ProjectionSet(Types);
        foreach (var projection in all.Concat(reactions)) both.Add(projection);
        return both;
    }

    /// <summary>The projection of that name in this build's version.</summary>
    public Projection? Find(string name) => all.Find(p => p.Name == name);

    private ProjectionSet Add(Projection projection)
    {
        if (Find(projection.Name) is not null) throw new InvalidOperationException($"Two projections are named {projection.Name}.");
        foreach (var alias in projection.Types ?? [])
            if (Types.Find(alias) is null) throw new InvalidOperationException($"{projection.Name} wants {alias}, which no event type is called.");
        all.Add(projection);
        return this;
    }
}
