namespace Nubabel.Bench;

/// <summary>One bench: what it measures, and the measuring, which ends within its bound.</summary>
internal interface IBench
{
    string Name { get; }

    /// <summary>A line for <c>./dev bench --help</c> and above the table.</summary>
    string What { get; }

    /// <summary>A bench that takes longer is not run by anybody.</summary>
    TimeSpan Longest => Report.Longest;

    Task<Report> Run(CancellationToken ct);
}
