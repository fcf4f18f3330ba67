namespace Nubabel.Bench;

/// <summary>
/// Figures of Marten 9.29 and WolverineFx, measured once on two cores shared by client and server. Their packages are not carried by the source this project builds
/// from, so they cannot run here: quoted, not measured here.
/// </summary>
internal static class Quoted
{
    public const string Note = "Quoted figures (Marten 9.29, WolverineFx) were not measured here and not on this machine: their packages do not restore. Each range is given by its better end.";

    public const string ScaledNote = "Scaled: what is quoted, times this machine's pgbench over the quoted machine's (the same two rows of one append): what it would be here if it went as fast as pgbench does.";

    /// <summary>The same with the machine taken out, as far as that goes: pgbench writing the rows of one append was measured on both.</summary>
    /// <param name="pgbench">What it reached here with as many callers, per second.</param>
    public static Reference Scaled(Reference reference, int callers, double pgbench) =>
        new($"{reference.Name}, scaled", reference.Value * pgbench / callers switch { 1 => 4_700, 8 => 7_800, _ => 6_800 }, Quoted: true);

    /// <summary>One event to a new stream, quick append, auto-prepared; per second.</summary>
    public static Reference MartenAppend(int callers, double? times = null) => new("Marten, prepared", callers switch { 1 => 2_100, 8 => 4_300, _ => 4_400 }, times, Quoted: true);

    /// <summary>Ten events under an expected version; events per second.</summary>
    public static Reference MartenTen(int callers, double? times = null) => new("Marten, prepared", callers switch { 1 => 8_500, 8 => 14_400, _ => 14_700 }, times, Quoted: true);

    /// <summary>FetchForWriting on a 20-event stream, then append; per second.</summary>
    public static Reference MartenCommand(int callers, double? times = null) => new("Marten FetchForWriting", callers == 1 ? 550 : 1_000, times, Quoted: true);

    /// <summary>A POST that appends, without authentication and projections; per second.</summary>
    public static Reference WolverineHttp { get; } = new("WolverineFx.Http + Marten, without sign-in or projections", 1_900, Quoted: true);

    /// <summary>Rebuild over 500 k events; events per second.</summary>
    public static Reference MartenRebuild(bool crossStream, double? times = null) => new("Marten", crossStream ? 35_000 : 26_000, times, Quoted: true);

    /// <summary>Commit to visible with LISTEN, p50; milliseconds.</summary>
    public static Reference MartenVisible { get; } = new("Marten with LISTEN", 14, Quoted: true);

    /// <summary>The next event behind a gap that rolled back; milliseconds.</summary>
    public static Reference MartenGap { get; } = new("Marten", 3_800, Quoted: true);

    /// <summary>Durable messages, end to end; per second.</summary>
    public static Reference WolverineMessages(bool appends, double? times = null) => new("Wolverine durable local queue", appends ? 800 : 2_600, times, Quoted: true);
}
