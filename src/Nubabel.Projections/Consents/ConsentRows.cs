using System.Collections.Immutable;
using Nubabel.Domain.Consents;
using Nubabel.Store;

namespace Nubabel.Projections.Consents;

/// <summary>A person's decisions as the rows of the read model, by purpose.</summary>
public sealed record ConsentRows(ImmutableDictionary<PurposeKey, ConsentRow> Of)
{
    /// <summary>One more event of the person's stream.</summary>
    public static ConsentRows? Evolve(ConsentRows? rows, Recorded e)
    {
        ArgumentNullException.ThrowIfNull(e);
        var all = rows?.Of ?? ImmutableDictionary<PurposeKey, ConsentRow>.Empty;
        if (ConsentList.PurposeOf(e) is not { } purpose) return rows;
        return new ConsentRows(ConsentList.Evolve(all.GetValueOrDefault(purpose), e) is { } row ? all.SetItem(purpose, row) : all.Remove(purpose));
    }
}
