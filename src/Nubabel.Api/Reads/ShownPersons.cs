using Nubabel.Domain.Reads;

namespace Nubabel.Api.Reads;

/// <summary>Whose personal values a request has opened to show them, tenant by tenant. Not for concurrent use, as a request is not.</summary>
public sealed class ShownPersons
{
    private readonly Dictionary<string, SortedSet<string>> byTenant = [];
    private readonly HashSet<(string Tenant, string Subject)> told = [];

    /// <summary>Whether nobody's were.</summary>
    public bool IsEmpty => byTenant.Count == 0;

    /// <summary>Whether of some tenant there are as many as an event names: for who shows any number, and records some at a time.</summary>
    public bool IsFull => byTenant.Values.Any(s => s.Count >= PersonalData.MostSubjects);

    public void Add(string tenant, IEnumerable<string> subjects)
    {
        foreach (var subject in subjects)
        {
            if (!byTenant.TryGetValue(tenant, out var shown)) byTenant[tenant] = shown = new SortedSet<string>(StringComparer.Ordinal);
            shown.Add(subject);
        }
    }

    /// <summary>Nobody was shown anything that the caller has not just sent.</summary>
    public void Forget() => byTenant.Clear();

    /// <summary>The log says it already: this request has changed the subject's own stream, and answers with what became of it.</summary>
    public void IsTold(string tenant, string subject) => told.Add((tenant, subject));

    /// <summary>Takes out the others that were shown, of each tenant: as many as are named, and how many there were beyond them.</summary>
    /// <param name="own">The caller's own subject.</param>
    public IEnumerable<(string Tenant, IReadOnlyList<string> Subjects, long More)> TakeOthers(string own)
    {
        var taken = byTenant.ToArray();
        byTenant.Clear();
        foreach (var (tenant, shown) in taken)
        {
            var others = shown.Where(s => s != own && !told.Contains((tenant, s))).ToArray();
            if (others.Length > 0) yield return (tenant, others[..Math.Min(others.Length, PersonalData.MostSubjects)], Math.Max(0, others.Length - PersonalData.MostSubjects));
        }
    }
}
