package episodic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Profile is what was measured of a model once, and is kept in a file beside it (EpiCache, arXiv 2509.17396, layer
// sensitivity: one sample of text is enough).
type Profile struct {
	Model  string    `json:"model"`             // fingerprint of the weights, by which a profile of others is known
	Sigma  []float64 `json:"sigma"`             // [layers]: σ, see Sensitivity
	Tokens int       `json:"tokens"`            // how many the text had
	Window int       `json:"similarity_window"` // of Sensitivity
	Mask   BlockMask `json:"mask"`
}

// profileVersion is the version of the file's format.
const profileVersion = 1

// profileFile is a profile as it is written.
type profileFile struct {
	Version int `json:"version"`
	Profile
}

// Check returns an error that says what is wrong with the profile.
func (p *Profile) Check() error {
	switch {
	case p.Model == "":
		return errors.New("episodic: profile names no model")
	case len(p.Sigma) == 0:
		return errors.New("episodic: profile has no layers")
	case p.Tokens < 1:
		return fmt.Errorf("episodic: profile of %d tokens", p.Tokens)
	case p.Window < 1:
		return fmt.Errorf("episodic: profile with similarity windows of %d tokens", p.Window)
	}
	if err := p.Mask.Check(); err != nil {
		return err
	}
	return checkSigma(p.Sigma)
}

// CheckModel returns an error unless the profile is that of the model with this fingerprint and number of layers.
func (p *Profile) CheckModel(fingerprint string, layers int) error {
	if p.Model != fingerprint {
		return fmt.Errorf("episodic: the profile is of model %q, not of %q", p.Model, fingerprint)
	}
	if len(p.Sigma) != layers {
		return fmt.Errorf("episodic: the profile has %d layers, the model %d", len(p.Sigma), layers)
	}
	return nil
}

// Marshal returns the contents of the profile's file, JSON in lines.
func (p *Profile) Marshal() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(profileFile{profileVersion, *p}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("episodic: profile: %w", err)
	}
	return append(data, '\n'), nil
}

// UnmarshalProfile reads what Marshal wrote. It is an error if the contents are of another version, have a field that
// a profile has not, or hold what Check refuses.
func UnmarshalProfile(data []byte) (*Profile, error) {
	// The version comes first, by itself: another one may have other fields.
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("episodic: profile: %w", err)
	}
	switch {
	case head.Version == nil:
		return nil, errors.New("episodic: profile without a version")
	case *head.Version != profileVersion:
		return nil, fmt.Errorf("episodic: profile of version %d, this reads version %d", *head.Version, profileVersion)
	}
	var file profileFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("episodic: profile: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("episodic: profile: there is more behind it")
	}
	if err := file.Check(); err != nil {
		return nil, err
	}
	return &file.Profile, nil
}
